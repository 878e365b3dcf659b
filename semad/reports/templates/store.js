// What the page knows: the images' records, and their maps, which come when they are needed.
"use strict";
{
  const KEPT = 24; // decoded maps; each is a byte per pixel
  const packed = new Map(); // key -> what its script gave
  const waiting = new Map(); // key -> what to call when that comes
  const decoded = new Map();

  // Each image's script calls this, in the page or in a file beside it.
  semad.add = (key, data) => {
    packed.set(key, data);
    waiting.get(key)?.();
  };

  const script = (key) =>
    new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = "report_data/" + key.split("/").map(encodeURIComponent).join("/") + ".js";
      element.onerror = () => reject(new Error(`report_data/${key}.js is not beside this page`));
      waiting.set(key, resolve);
      document.head.append(element);
    });

  const inflate = async (text) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  const decode = async (image) => {
    if (!packed.has(image.key)) await script(image.key);
    const { picture, map, label, factor } = packed.get(image.key);
    const size = { width: Math.ceil(image.width / factor), height: Math.ceil(image.height / factor) };
    const counts = await inflate(map);
    const labelled = label ? await inflate(label) : null;
    if (!semad.data.inside) packed.delete(image.key);
    return { ...size, factor, counts, label: labelled, picture: `data:image/jpeg;base64,${picture}` };
  };

  // The map, the label and the picture of an image.
  semad.load = (image) => {
    const known = decoded.get(image.key) ?? decode(image);
    decoded.delete(image.key); // the last one that was asked for stays longest
    decoded.set(image.key, known);
    for (const key of decoded.keys()) {
      if (decoded.size <= KEPT) break;
      decoded.delete(key);
    }
    return known;
  };

  semad.data = JSON.parse(document.getElementById("data").textContent);
  semad.images = semad.data.images;

  const { sliders } = semad.data;
  semad.rule = { levels: sliders.levels, min_area: semad.data.min_area, whole: semad.data.whole };
  semad.start = { image: sliders.start[0], pixel: sliders.start[1] };
  semad.setting = { ...semad.start };
  semad.settings = () => [sliders.image[semad.setting.image], sliders.pixel[semad.setting.pixel]];
  semad.as_calibrated = () =>
    semad.setting.image === semad.start.image && semad.setting.pixel === semad.start.pixel;

  // The number and the exact peak of a region that the tables have as well; see _of_page.
  const recorded = (image, region, factor) => {
    const number = image.defects.findIndex(([left, top, right, bottom, area]) =>
      factor === 1 && left === region.left && top === region.top && right === region.right
      && bottom === region.bottom && area === region.area);
    return { ...region, number_there: number, score: image.defects[number]?.[5] ?? semad.value(region.peak) };
  };

  // The defects of an image at the present setting, with the labels of its pixels.
  semad.defects_of = async (image) => {
    const map = await semad.load(image);
    const found = semad.segment(image, map, ...semad.settings(), semad.rule);
    const regions = found.regions.map((region) => recorded(image, region, map.factor));
    if (semad.as_calibrated()) regions.sort((one, other) => one.number_there - other.number_there);
    return { map, labels: found.labels, regions };
  };

  // The middle of the levels that a count stands between.
  semad.value = (count) => {
    const { levels } = sliders;
    if (count === 0) return levels[0];
    return count === levels.length ? levels[count - 1] : (levels[count - 1] + levels[count]) / 2;
  };
  semad.figure = (value) => (Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(3));
}
