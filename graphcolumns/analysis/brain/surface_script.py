"""The page of surfaces: HTML and the script in it. Capital words are filled in."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>TITLE</title>
<style>
  body { margin: 0 auto; max-width: 1100px; padding: 16px; color: #1c2430; background: #fff;
    font: 16px/1.5 system-ui, sans-serif; }
  h1 { font-size: 1.4rem; margin: 0 0 4px; }
</style>
<script>SCRIPT</script>
</head>
<body>
<h1>TITLE</h1>
<p>TEXT</p>
VIEW
</body>
</html>
"""

FRAGMENT = """<div class="surface-view">
<div style="display:flex;flex-wrap:wrap;gap:6px 14px;align-items:center;font-size:.9rem">
  <label>map <select data-is="map"></select></label>
  <label>surface <select data-is="surface"></select></label>
  <label>seen from <select data-is="eye"></select></label>
  <span data-is="sides"></span>
</div>
<div data-is="plot" style="width:100%;height:520px"></div>
<div style="display:flex;flex-wrap:wrap;gap:4px 12px;align-items:center;font-size:.9rem">
  <span data-is="label"></span><span data-is="low"></span>
  <span data-is="bar" style="width:220px;height:14px;border:1px solid #888"></span>
  <span data-is="high"></span>
  <span data-is="grey" style="width:14px;height:14px;border:1px solid #888"></span>
  <span>no data</span><span data-is="count" style="color:#5c6675"></span>
</div>
<script>
(function (root) {
  const content = CONTENT;
  const at = name => root.querySelector(`[data-is=${name}]`);
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer;
  const floats = text => new Float32Array(bytes(text)), whole = text => new Int32Array(bytes(text));
  const eyes = {
    "left": [-1.8, 0, 0], "right": [1.8, 0, 0], "behind": [0, -1.8, 0.3], "the front": [0, 1.8, 0],
    "above": [0, -0.01, 1.8], "below": [0, -0.01, -1.8], "behind left": [-1.3, -1.2, 0.4],
    "behind right": [1.3, -1.2, 0.4]
  };
  const short = x => Number(x.toPrecision(3)).toString();
  // All axes have the scale of the widest, whichever hemispheres are shown.
  const frame = surface => {
    const ends = [0, 1, 2].map(axis => {
      let low = Infinity, high = -Infinity;
      for (const part of surface.parts) for (const x of part.xyz[axis]) {
        low = Math.min(low, x); high = Math.max(high, x);
      }
      return [low, Math.max(high, low + 1e-3)];
    });
    const sizes = ends.map(([low, high]) => high - low), widest = Math.max(...sizes);
    const scale = (surface.flat ? 3.3 : 2.1) / widest;
    const [x, y, z] = sizes.map(size => size * scale);
    const scene = { aspectmode: "manual", aspectratio: { x, y, z } };
    "xyz".split("").forEach((axis, n) => {
      scene[axis + "axis"] = { visible: false, showspikes: false, range: ends[n] };
    });
    return scene;
  };
  const options = { displaylogo: false, responsive: true,
    modeBarButtons: [["toImage", "resetCameraDefault3d"]] };
  content.surfaces.forEach(surface => surface.parts.forEach(part => {
    part.xyz = part.xyz.map(floats); part.ijk = part.ijk.map(whole); part.ids = whole(part.ids);
    part.values = part.values.map(floats); part.sulcus = part.sulcus && whole(part.sulcus);
  }));
  const fill = (select, names) => names.forEach((name, i) => select.add(new Option(name, i)));
  fill(at("map"), content.maps.map(map => map.name));
  fill(at("surface"), content.surfaces.map(surface => surface.name));
  fill(at("eye"), Object.keys(eyes));
  for (const name of ["map", "surface"])
    at(name).parentElement.hidden = at(name).options.length < 2;
  const off = new Set();
  let turns = 0;
  const colour = (part, map, number) => Array.from(part.values[number], (value, n) => {
    if (Number.isNaN(value)) return content.grey[part.sulcus ? part.sulcus[n] : 0];
    const share = (value - map.low) / (map.high - map.low), last = map.colours.length - 1;
    return map.colours[Math.min(last, Math.max(0, Math.round(share * last)))];
  });
  const traces = () => {
    const number = +at("map").value, map = content.maps[number];
    const surface = content.surfaces[+at("surface").value];
    return surface.parts.filter(part => !off.has(part.name)).map(part => ({
      type: "mesh3d", x: part.xyz[0], y: part.xyz[1], z: part.xyz[2],
      i: part.ijk[0], j: part.ijk[1], k: part.ijk[2], vertexcolor: colour(part, map, number),
      hoverinfo: "text", showscale: false,
      text: Array.from(part.values[number], (value, n) => `${part.name} vertex ${part.ids[n]}: ` +
        (Number.isNaN(value) ? "no data" : short(value))),
      lighting: surface.flat ? { ambient: 1, diffuse: 0, specular: 0 }
        : { ambient: 0.92, diffuse: 0.3, specular: 0.04, roughness: 0.9, fresnel: 0.05 },
      lightposition: { x: 0, y: -2000, z: 4000 }
    }));
  };
  const camera = () => {
    const surface = content.surfaces[+at("surface").value];
    const [x, y, z] = eyes[Object.keys(eyes)[+at("eye").value]];
    if (surface.flat) return { eye: { x: 0, y: 0, z: 1.8 }, up: { x: 0, y: 1, z: 0 },
      center: { x: 0, y: 0, z: 0 }, projection: { type: "orthographic" } };
    return { eye: { x, y, z }, center: { x: 0, y: 0, z: 0 },
      up: Math.abs(z) > 1.5 ? { x: 0, y: 1, z: 0 } : { x: 0, y: 0, z: 1 },
      projection: { type: "orthographic" } };
  };
  const draw = turned => {
    const map = content.maps[+at("map").value], surface = content.surfaces[+at("surface").value];
    turns += turned;
    // A reader's own turning and zooming is kept until another surface or side is chosen.
    const scene = { ...frame(surface), camera: camera(), uirevision: turns };
    const layout = { margin: { l: 0, r: 0, t: 0, b: 0 }, scene, uirevision: turns };
    Plotly.react(at("plot"), traces(), layout, options);
    at("label").textContent = map.label + ":";
    at("low").textContent = (map.below ? "\\u2264 " : "") + short(map.low);
    at("high").textContent = (map.above ? "\\u2265 " : "") + short(map.high);
    const few = map.colours.filter((_, n) => n % 15 === 0);
    at("bar").style.background = `linear-gradient(to right, ${few.join(", ")})`;
    at("grey").style.background = content.grey[0];
    const [shown, total] = [surface.shown, surface.total].map(n => n.toLocaleString("en"));
    at("count").textContent = surface.shown === surface.total ? ""
      : `${shown} of ${total} vertices of the data are on this mesh`;
    at("eye").disabled = surface.flat;
  };
  const names = content.surfaces[0].parts.map(part => part.name).filter(name => name);
  if (names.length > 1) names.forEach(name => {
    const box = document.createElement("input"), label = document.createElement("label");
    box.type = "checkbox"; box.checked = true;
    box.onchange = () => { box.checked ? off.delete(name) : off.add(name); draw(false); };
    label.append(box, ` ${name} `);
    at("sides").append(label);
  });
  at("map").onchange = () => draw(false);
  at("surface").onchange = at("eye").onchange = () => draw(true);
  at("eye").value = names[0] === "right" ? 1 : names.length > 1 ? 2 : 0;
  draw(true);
})(document.currentScript.parentElement);
</script>
</div>
"""
