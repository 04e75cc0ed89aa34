// What a person would notice at a page that is laid out badly, as a list of sentences.
(() => {
  const found = [];
  const page = document.documentElement;
  const shown = element => element.getClientRects().length > 0;
  const name = element => `${element.tagName} ${element.getAttribute("class") || ""} "${element.textContent.slice(0, 30)}"`;
  const ownText = element => [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());

  for (const details of document.querySelectorAll("details")) details.open = true;
  if (page.scrollWidth > page.clientWidth) found.push(`the page is ${page.scrollWidth} wide in a window of ${page.clientWidth}`);

  for (const picture of document.querySelectorAll("svg")) {
    if (!shown(picture)) continue;
    const box = picture.getBoundingClientRect();
    if (box.width < 100 || box.height < 20) found.push(`a picture of ${box.width} x ${box.height}: ${name(picture)}`);
    const words = [...picture.querySelectorAll("text")];
    const boxes = words.map(word => word.getBoundingClientRect());
    const scale = box.width / picture.viewBox.baseVal.width;
    words.forEach((word, index) => {
      const own = boxes[index];
      if (own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1 || own.bottom > box.bottom + 1)
        found.push(`cut off at the edge of its picture: ${name(word)}`);
      const size = parseFloat(getComputedStyle(word).fontSize) * scale;
      if (size < 8.5) found.push(`too small to read, ${size.toFixed(1)} px: ${name(word)}`);
      for (let other = 0; other < index; other++) {
        const across = Math.min(own.right, boxes[other].right) - Math.max(own.left, boxes[other].left);
        const down = Math.min(own.bottom, boxes[other].bottom) - Math.max(own.top, boxes[other].top);
        if (across > 1 && down > 4) found.push(`one over the other: ${name(word)} and ${name(words[other])}`);
      }
    });
  }

  for (const figure of document.querySelectorAll("figure")) {
    const pictures = [...figure.querySelectorAll("svg")].filter(shown).length;
    if (pictures !== 1) found.push(`${pictures} pictures in a figure: ${name(figure)}`);
  }

  for (const element of document.body.querySelectorAll("*")) {
    if (element.closest("svg") || element.closest(".table") || !shown(element) || !ownText(element)) continue;
    const box = element.getBoundingClientRect();
    if (box.left < 0 || box.right > page.clientWidth + 1) found.push(`beyond the edge of the page: ${name(element)}`);
    if (getComputedStyle(element).display !== "inline" && element.scrollWidth > element.clientWidth + 1)
      found.push(`wider than its place: ${name(element)}`);
  }
  return found;
})()
