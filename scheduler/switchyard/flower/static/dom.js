/**
 * Builds the page from values that nobody vouches for: a text only ever becomes a text node or an attribute
 * of ours, never markup.
 *
 * A widget is `{element, update(item)}`. It is made once and updated in place with every refresh, so the
 * focus, the selection and the scroll position stay where the reader left them.
 */

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; a child that is a string becomes a text node. */
export function element(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

/** The same for an element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Writes a text if it changed: an untouched node costs no layout, and a screen reader stays silent. */
export function setText(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

/** Writes an attribute if it changed. */
export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

/** A widget that shows what `pick` says of the item. */
export function text(pick, className = "") {
  const shown = element("span", className ? { class: className } : {});
  return { element: shown, update: (item) => setText(shown, pick(item)) };
}

/** Keeps one widget per item as children of `parent`, in the items' order, and moves none needlessly. */
export class Keyed {
  constructor(parent, keyOf, make) {
    this.parent = parent;
    this.keyOf = keyOf;
    this.make = make;
    this.kept = new Map();
  }

  update(items) {
    this.removeAllBut(new Set(items.map(this.keyOf)));
    let place = this.parent.firstElementChild;
    for (const item of items) {
      const widget = this.widget(item);
      widget.update(item);
      if (widget.element === place) {
        place = place.nextElementSibling;
      } else {
        this.parent.insertBefore(widget.element, place);
      }
    }
  }

  removeAllBut(keys) {
    for (const [key, widget] of this.kept) {
      if (!keys.has(key)) {
        widget.element.remove();
        this.kept.delete(key);
      }
    }
  }

  widget(item) {
    const key = this.keyOf(item);
    if (!this.kept.has(key)) {
      this.kept.set(key, this.make(item));
    }
    return this.kept.get(key);
  }
}

/**
 * Fills a table whose head is in the page already: a row per item, a cell per widget, the first one the
 * row's header. Each cell carries its column's name, which a narrow screen shows above the value. The roles
 * are spelt out since a browser forgets those of a table that the style sheet lays out as a grid.
 */
export function rows(table, keyOf, widgetsOf) {
  const labels = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent.trim());
  return new Keyed(table.tBodies[0], keyOf, (item) => row(labels, widgetsOf(item)));
}

function row(labels, widgets) {
  const cells = widgets.map((widget, index) => {
    const [tag, attributes] = index
      ? ["td", { role: "cell" }]
      : ["th", { role: "rowheader", scope: "row" }];
    return element(tag, { ...attributes, "data-label": labels[index] }, widget.element);
  });
  return {
    element: element("tr", { role: "row" }, ...cells),
    update: (item) => widgets.forEach((widget) => widget.update(item)),
  };
}
