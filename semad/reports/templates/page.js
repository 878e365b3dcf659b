// Sliders, the list of images with its filters, and the keyboard.
"use strict";
{
  const get = (id) => document.getElementById(id);
  const { sliders } = semad.data;
  const list = get("cards");
  const cards = [...list.children];
  const counts = new Map(); // "image setting/pixel setting/key" -> { count, largest, boxes }
  let current = null;
  let listed = semad.images;

  const percent = (rate) => `${+(100 * rate).toPrecision(2)} %`;
  const words = {
    conformal: (rate) => `calibrated to ${percent(rate)}`,
    extrapolated: (rate) => `extrapolated to ${percent(rate)}`,
    highest: () => "the highest score of a normal image; its rate is unknown",
    beyond: () => "above every normal image; the rate is unknown",
  };
  const describe = (setting) =>
    `${words[setting.rule](setting.rate)} (threshold ${semad.figure(setting.threshold)})`;

  // What is known of an image at the present setting; undefined while it is not counted.
  const known = (image) => {
    if (!(image.score > semad.settings()[0].threshold)) return { count: 0, largest: 0, boxes: [] };
    if (semad.as_calibrated()) return image.found;
    return counts.get(`${semad.setting.image}/${semad.setting.pixel}/${image.key}`);
  };

  const summary = () => {
    const threshold = semad.settings()[0].threshold;
    const anomalous = semad.images.filter((image) => image.score > threshold);
    const found = semad.images.map(known);
    const sum = found.reduce((total, one) => total + (one ? one.count : 0), 0);
    const left = found.filter((one) => !one).length;
    get("summary").textContent =
      `${anomalous.length} of ${semad.images.length} images anomalous, ${sum} defects` +
      (left ? ` so far, ${left} images still to be counted` : "");
    get("summary").dataset.left = left;
  };

  const refresh = (image) => {
    const card = image.card;
    const found = known(image);
    const anomalous = image.score > semad.settings()[0].threshold;
    card.classList.toggle("flagged", anomalous);
    card.querySelector(".kind").textContent = anomalous ? "anomalous" : "normal";
    card.querySelector(".count").textContent = found ? found.count : "…";
    const micro = image.nm && found?.count ? ` (${semad.figure(found.largest * (image.nm / 1000) ** 2)} µm²)` : "";
    card.querySelector(".largest").textContent = found?.count ? `${found.largest} px${micro}` : "–";
    const boxes = (found?.boxes ?? []).slice(0, 50).map(([left, top, right, bottom]) =>
      `M${left} ${top}H${right}V${bottom}H${left}Z`);
    card.querySelector("path").setAttribute("d", boxes.join(""));
  };

  const count = async (image) => {
    const name = `${semad.setting.image}/${semad.setting.pixel}/${image.key}`;
    const { map, regions } = await semad.defects_of(image);
    const scaled = regions.map(({ left, top, right, bottom }) =>
      [left, top, right, bottom].map((edge) => edge * map.factor));
    const largest = Math.max(0, ...regions.map((region) => region.area * map.factor ** 2));
    counts.set(name, { count: regions.length, largest, boxes: scaled });
  };

  // Counts what is not counted yet, an image at a time, until the setting changes.
  const count_all = async () => {
    const asked = (count_all.last = {});
    for (const image of listed.concat(semad.images.filter((one) => !listed.includes(one)))) {
      if (known(image)) continue;
      await count(image).catch(() => null); // its script is not there; it stays uncounted
      await new Promise((resolve) => setTimeout(resolve));
      if (count_all.last !== asked) return;
      refresh(image);
      summary();
    }
  };

  const change = () => {
    const [image, pixel] = semad.settings();
    get("image-rate").value = semad.setting.image;
    get("pixel-rate").value = semad.setting.pixel;
    get("image-says").textContent = describe(image);
    get("pixel-says").textContent = describe(pixel);
    get("reset").disabled = semad.as_calibrated();
    semad.images.forEach(refresh);
    summary();
    arrange();
    if (current) show(current);
    count_all();
  };

  const slide = (name, id) => {
    const input = get(id);
    input.max = sliders[name].length - 1;
    input.addEventListener("input", () => {
      semad.setting[name] = +input.value;
      change();
    });
    return (step) => {
      semad.setting[name] = Math.min(+input.max, Math.max(0, semad.setting[name] + step));
      change();
    };
  };
  const slide_image = slide("image", "image-rate");
  const slide_pixel = slide("pixel", "pixel-rate");
  const reset = () => {
    Object.assign(semad.setting, semad.start);
    change();
  };
  get("reset").addEventListener("click", reset);

  // Sorting and filtering.
  const orders = {
    score: (image) => -image.score,
    area: (image) => -(known(image)?.largest ?? 0),
    defects: (image) => -(known(image)?.count ?? 0),
  };
  const wanted = (image) => {
    const kind = get("kind").value;
    const anomalous = image.score > semad.settings()[0].threshold;
    const of_kind = { "": true, anomalous, normal: !anomalous, unlike: Boolean(image.unlike) };
    const folder = get("folder").value;
    return of_kind[kind]
      && (folder === "*" || image.folder === folder)
      && image.score >= (get("least-score").value === "" ? -Infinity : +get("least-score").value)
      && (known(image)?.largest ?? Infinity) >= +get("least-area").value
      && image.file.toLowerCase().includes(get("search").value.toLowerCase());
  };
  const arrange = () => {
    const order = get("order").value;
    listed = semad.images.filter(wanted);
    if (order === "name") listed.sort((one, other) => one.file.localeCompare(other.file));
    else listed.sort((one, other) => orders[order](one) - orders[order](other));
    const kept = new Set(listed);
    semad.images.forEach((image) => { image.card.hidden = !kept.has(image); });
    list.append(...listed.map((image) => image.card));
    get("listed").textContent = `${listed.length} of ${semad.images.length} shown`;
  };
  for (const id of ["order", "kind", "folder", "least-score", "least-area", "search"]) {
    get(id).addEventListener("input", arrange);
  }

  const show = (image) => {
    current?.card.classList.remove("current");
    current = image;
    image.card.classList.add("current");
    semad.show(image).catch((error) => { get("no-defects").textContent = error.message; });
  };
  const step = (by) => {
    if (!listed.length) return;
    const place = listed.indexOf(current);
    show(listed[Math.min(listed.length - 1, Math.max(0, place < 0 ? 0 : place + by))]);
    current.card.scrollIntoView({ block: "nearest" });
  };

  // Layers: a switch and an opacity each.
  const toggles = ["picture", "map", "outlines", "label"].map((id) => {
    const [shown, opacity] = get(`of-${id}`).querySelectorAll("input");
    const apply = () => { get(id).style.opacity = shown.checked ? opacity.value : 0; };
    shown.addEventListener("input", apply);
    opacity.addEventListener("input", apply);
    apply();
    return () => { shown.checked = !shown.checked; apply(); };
  });

  const keys = {
    ArrowRight: () => step(1), ArrowLeft: () => step(-1), n: () => step(1), p: () => step(-1),
    1: toggles[0], 2: toggles[1], 3: toggles[2], 4: toggles[3],
    "+": () => semad.zoom(1.5), "=": () => semad.zoom(1.5), "-": () => semad.zoom(1 / 1.5), 0: () => semad.fit(),
    "[": () => slide_image(-1), "]": () => slide_image(1), ",": () => slide_pixel(-1), ".": () => slide_pixel(1),
    r: reset, "?": () => (get("help").open ? get("help").close() : get("help").showModal()),
  };
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]), select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  const clicks = {
    next: () => step(1), previous: () => step(-1), closer: () => semad.zoom(1.5), farther: () => semad.zoom(1 / 1.5),
    whole: () => semad.fit(), ask: keys["?"], print: () => print(),
  };
  for (const [id, action] of Object.entries(clicks)) get(id).addEventListener("click", action);
  list.addEventListener("click", (event) => {
    const card = event.target.closest(".card");
    if (!card) return;
    show(semad.images[card.dataset.place]);
    get("stage").scrollIntoView({ block: "nearest" });
  });

  // Cards are in the order of the images when the page opens.
  semad.images.forEach((image, place) => {
    image.card = cards[place];
    const boxes = image.defects.map(([left, top, right, bottom]) => [left, top, right, bottom]);
    const areas = image.defects.map((defect) => defect[4]);
    image.found = { count: boxes.length, largest: Math.max(0, ...areas), boxes };
  });
  const folders = [...new Set(semad.images.map((image) => image.folder))].sort();
  get("folder").append(...folders.map((name) => new Option(name || "(top)", name)));
  get("work").hidden = get("filters").hidden = false;
  change();
  if (listed.length) show(listed[0]);
}
