// Defects from a map in the page, by the rule of semad/scoring/regions.py. Pure functions.
// A map holds, for each pixel, how many of the levels it exceeds: above level j is count > j.
"use strict";
const semad = {};

// The regions, connected at sides or corners, of pixels that exceed a level.
semad.components = (counts, width, height, level) => {
  const labels = new Int32Array(counts.length);
  const stack = new Int32Array(counts.length);
  const regions = [null]; // label 0 is the background
  for (let start = 0; start < counts.length; start++) {
    if (counts[start] <= level || labels[start]) continue;
    const number = regions.length;
    const region = { number, area: 0, peak: 0, left: width, top: height, right: 0, bottom: 0 };
    let size = 1;
    stack[0] = start;
    labels[start] = number;
    while (size) {
      const pixel = stack[--size];
      const x = pixel % width;
      const y = (pixel - x) / width;
      region.area++;
      region.peak = Math.max(region.peak, counts[pixel]);
      region.left = Math.min(region.left, x);
      region.right = Math.max(region.right, x + 1);
      region.top = Math.min(region.top, y);
      region.bottom = Math.max(region.bottom, y + 1);
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          const next = row * width + column;
          if (counts[next] <= level || labels[next]) continue;
          labels[next] = number;
          stack[size++] = next;
        }
      }
    }
    regions.push(region);
  }
  return { labels, regions };
};

// The place of a threshold among the levels, which are float32 as maps are.
semad.place = (levels, threshold) => levels.indexOf(Math.fround(threshold));

// The defects of an image, the highest peak first, and the label of each pixel.
semad.segment = (image, map, image_setting, pixel_setting, rule) => {
  const nothing = { labels: null, regions: [] };
  if (!(image.score > image_setting.threshold)) return nothing;
  const { counts, width, height, factor } = map;
  const smallest = Math.max(1, rule.min_area) / factor ** 2;
  const large = (region) => region && region.area >= smallest;
  const pixel = semad.place(rule.levels, pixel_setting.threshold);
  const core = image_setting.core === null ? 255 : semad.place(rule.levels, image_setting.core);
  const cores = semad.components(counts, width, height, core);
  let found;
  let kept;
  if (cores.regions.some(large)) {
    found = semad.components(counts, width, height, Math.min(core, pixel));
    const wanted = new Set();
    cores.labels.forEach((label, place) => {
      if (label && large(cores.regions[label])) wanted.add(found.labels[place]);
    });
    kept = found.regions.filter((region) => region && wanted.has(region.number));
  } else {
    found = semad.components(counts, width, height, pixel);
    kept = found.regions.filter(large);
  }
  const area = kept.reduce((sum, region) => sum + region.area, 0);
  if (area / counts.length > rule.whole) return nothing; // the image as a whole is unlike
  kept.sort((one, other) => other.peak - one.peak || other.area - one.area);
  return { labels: found.labels, regions: kept };
};

// The edges between a region's pixels and others, as the path of an SVG.
semad.outline = (labels, width, height, region) => {
  const inside = (x, y) =>
    x >= 0 && y >= 0 && x < width && y < height && labels[y * width + x] === region.number;
  const parts = [];
  const runs = (from, to, edge, draw) => {
    for (let start = from; start < to; start++) {
      if (!edge(start)) continue;
      let end = start;
      while (end < to && edge(end)) end++;
      draw(start, end);
      start = end;
    }
  };
  for (let y = region.top; y <= region.bottom; y++) {
    runs(region.left, region.right, (x) => inside(x, y) !== inside(x, y - 1),
      (start, end) => parts.push(`M${start} ${y}H${end}`));
  }
  for (let x = region.left; x <= region.right; x++) {
    runs(region.top, region.bottom, (y) => inside(x, y) !== inside(x - 1, y),
      (start, end) => parts.push(`M${x} ${start}V${end}`));
  }
  return parts.join("");
};
