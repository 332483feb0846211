"""`python -m graphcolumns.bench`, which needs no hydra."""

from graphcolumns.bench.command import main

if __name__ == "__main__":
    main()
