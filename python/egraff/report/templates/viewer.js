"use strict";
(() => {
  const frames = JSON.parse(document.getElementById("frames-data").textContent);
  const choice = document.getElementById("frame-choice");
  const stage = document.getElementById("stage");
  const note = document.getElementById("stage-note");
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  let viewer = null;

  const show = () => {
    const frame = frames[Number(choice.value)];
    viewer.clear();
    viewer.setBackgroundColor(css("--raised"));
    const model = viewer.addModel(frame.xyz, "xyz", { assignBonds: false });
    const atoms = model.selectedAtoms({});
    for (const [i, j] of frame.sticks) {
      atoms[i].bonds.push(j); atoms[i].bondOrder.push(1);
      atoms[j].bonds.push(i); atoms[j].bondOrder.push(1);
    }
    viewer.setStyle({}, { stick: { radius: 0.12 }, sphere: { scale: 0.25 } });
    for (const [[x, y, z], [u, v, w]] of frame.edges) {
      viewer.addLine({ start: { x, y, z }, end: { x: u, y: v, z: w }, color: css("--muted") });
    }
    viewer.resize();
    viewer.zoomTo();
    viewer.zoom(1.25);
    viewer.render();
    stage.dataset.shown = frame.label;
  };

  const start = () => {
    try {
      viewer = window.$3Dmol.createViewer(stage, { backgroundColor: css("--raised") });
      if (!viewer) throw new Error("no viewer");
      show();
    } catch (error) {
      viewer = null;
      note.hidden = false;
    }
  };

  choice.addEventListener("change", () => viewer && show());
  new MutationObserver(() => viewer && show()).observe(root, { attributeFilter: ["data-theme"] });
  stage.addEventListener("keydown", (event) => {
    const zoom = { "+": 1.2, "=": 1.2, "-": 1 / 1.2 }[event.key];
    if (viewer && zoom) viewer.zoom(zoom);
    const turns = { ArrowLeft: [-10, "y"], ArrowRight: [10, "y"], ArrowUp: [-10, "x"], ArrowDown: [10, "x"] };
    const turn = turns[event.key];
    if (!viewer || !turn) return;
    event.preventDefault();
    viewer.rotate(turn[0], turn[1]);
    viewer.render();
  });
  // figures and tables first, then the atoms
  window.addEventListener("load", () => setTimeout(start, 50));
})();
