// The image that is looked at: its layers, zoom and pan, and its defects.
"use strict";
{
  const get = (id) => document.getElementById(id);
  const stage = get("stage");
  const layers = get("layers");
  const view = { zoom: 1, x: 0, y: 0 };
  let shown = null; // { image, map, regions }

  const apply = () => {
    layers.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
    layers.style.setProperty("--zoom", view.zoom);
    layers.classList.toggle("close", view.zoom > 2);
  };

  const fitting = () =>
    Math.min(stage.clientWidth / shown.image.width, stage.clientHeight / shown.image.height);

  const fit = () => {
    if (!shown) return;
    view.zoom = fitting();
    view.x = (stage.clientWidth - shown.image.width * view.zoom) / 2;
    view.y = (stage.clientHeight - shown.image.height * view.zoom) / 2;
    apply();
  };

  // Zooms so that what is at (x, y) of the stage stays there.
  const zoom = (factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) => {
    if (!shown) return;
    const wanted = Math.min(40, Math.max(fitting() / 2, view.zoom * factor));
    view.x = x - ((x - view.x) * wanted) / view.zoom;
    view.y = y - ((y - view.y) * wanted) / view.zoom;
    view.zoom = wanted;
    apply();
  };

  const centre = (region) => {
    const { factor } = shown.map;
    const size = factor * Math.max(region.right - region.left, region.bottom - region.top);
    const wanted = Math.min(stage.clientWidth, stage.clientHeight) / (3 * size);
    view.zoom = Math.min(8, Math.max(fitting(), wanted));
    view.x = stage.clientWidth / 2 - (view.zoom * factor * (region.left + region.right)) / 2;
    view.y = stage.clientHeight / 2 - (view.zoom * factor * (region.top + region.bottom)) / 2;
    apply();
  };

  const pointers = new Map();
  stage.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event);
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    tell(event);
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const others = [...pointers.values()].filter((other) => other.pointerId !== event.pointerId);
    pointers.set(event.pointerId, event);
    if (others.length) {
      const distance = (one) => Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY);
      const box = stage.getBoundingClientRect();
      zoom(distance(event) / Math.max(1, distance(before)), others[0].clientX - box.left, others[0].clientY - box.top);
      return;
    }
    view.x += event.clientX - before.clientX;
    view.y += event.clientY - before.clientY;
    apply();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    stage.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  stage.addEventListener("dblclick", fit);
  addEventListener("resize", fit);
  addEventListener("beforeprint", fit);

  // The score under the pointer.
  const tell = (event) => {
    if (!shown) return;
    const box = stage.getBoundingClientRect();
    const x = Math.floor((event.clientX - box.left - view.x) / view.zoom);
    const y = Math.floor((event.clientY - box.top - view.y) / view.zoom);
    const { image, map } = shown;
    const inside = x >= 0 && y >= 0 && x < image.width && y < image.height;
    const place = Math.floor(y / map.factor) * map.width + Math.floor(x / map.factor);
    get("value").textContent = inside
      ? `x ${x}, y ${y}: score ${semad.figure(semad.value(map.counts[place]))}` : "";
  };

  // Paints a byte per pixel by a table of colours.
  const paint = (canvas, map, values, table) => {
    canvas.width = map.width;
    canvas.height = map.height;
    const pixels = new Uint32Array(map.width * map.height);
    values.forEach((value, place) => { pixels[place] = table[value]; });
    const bytes = new Uint8ClampedArray(pixels.buffer);
    canvas.getContext("2d").putImageData(new ImageData(bytes, map.width, map.height), 0, 0);
  };

  const palette = new Uint32Array(256);
  semad.data.palette.forEach(([red, green, blue, alpha], count) => {
    palette[count] = (alpha << 24) | (blue << 16) | (green << 8) | red;
  });
  const marked = new Uint32Array([0, (200 << 24) | (60 << 16) | (220 << 8) | 40]);

  const svg = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    return element;
  };

  const draw_outlines = () => {
    const { map, labels, regions } = shown;
    const layer = get("outlines");
    layer.setAttribute("viewBox", `0 0 ${map.width} ${map.height}`);
    layer.replaceChildren(...regions.flatMap((region, place) => [
      svg("path", { d: semad.outline(labels, map.width, map.height, region) }),
      svg("text", { x: region.left, y: region.top, class: region.top < map.height / 20 ? "below" : "" }, `${place + 1}`),
    ]));
    layer.style.setProperty("--factor", map.factor);
  };

  const list_defects = () => {
    const { image, map, regions } = shown;
    const micro = image.nm ? (image.nm / 1000) ** 2 : null;
    get("defects").replaceChildren(...regions.map((region, place) => {
      const row = document.createElement("tr");
      const area = region.area * map.factor ** 2;
      const cells = [place + 1, area, micro ? semad.figure(area * micro) : "–", semad.figure(region.score)];
      row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
      row.addEventListener("click", () => centre(region));
      return row;
    }));
    get("no-defects").textContent = regions.length ? "" : image.unlike ?? "No defect at this setting.";
  };

  // Shows an image, or the one that is shown at another setting.
  semad.show = async (image) => {
    const asked = (semad.show.last = {});
    get("name").textContent = image.file;
    const found = await semad.defects_of(image);
    const picture = Object.assign(new Image(), { src: found.map.picture, alt: image.file });
    const other = shown?.image !== image;
    if (other) await picture.decode();
    if (semad.show.last !== asked) return; // another one was asked for meanwhile
    shown = { image, ...found };
    if (other) {
      layers.style.width = `${image.width}px`;
      layers.style.height = `${image.height}px`;
      get("picture").replaceChildren(picture);
      paint(get("map"), found.map, found.map.counts, palette);
      get("label").hidden = get("of-label").hidden = !found.map.label;
      if (found.map.label) paint(get("label"), found.map, found.map.label, marked);
      fit();
    }
    draw_outlines();
    list_defects();
    get("reduced").hidden = found.map.factor === 1;
  };

  Object.assign(semad, { fit, zoom });
}
