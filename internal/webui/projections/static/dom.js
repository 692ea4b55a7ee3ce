// The page's elements: made of text, never of markup, and brought up to date in place, so
// that focus, selection and scrolling stay where they are.

const space = 'http://www.w3.org/2000/svg';

// h makes an element. Children are elements, or anything else as text; null and false are
// left out.
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// s makes an element of a drawing.
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(space, tag), attributes, children);
}

// spoken are attributes that somebody reads or hears.
const spoken = new Set(['aria-label', 'title', 'alt', 'placeholder']);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? '' : spoken.has(name) ? visible(String(value)) : String(value));
    }
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false)
    .map((c) => (c instanceof Node ? c : document.createTextNode(String(c).split('\n').map(visible).join('\n')))));
  return element;
}

// patch gives parent the children that are wanted. An element with a data-key is found
// again wherever it was among them.
export function patch(parent, wanted) {
  const keyed = new Map();
  for (const child of parent.children) {
    if (child.dataset.key) keyed.set(child.dataset.key, child);
  }
  let at = parent.firstChild;
  for (const node of wanted.flat(Infinity).filter(Boolean)) {
    const key = node.dataset && node.dataset.key;
    const old = key ? keyed.get(key) : at && !(at.dataset && at.dataset.key) ? at : null;
    if (!old || !alike(old, node)) {
      parent.insertBefore(node, at);
      continue;
    }
    if (old === at) at = at.nextSibling;
    else parent.insertBefore(old, at);
    update(old, node);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName;

function update(old, node) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== node.data) old.data = node.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!node.hasAttribute(name) && name !== 'open') old.removeAttribute(name);
  }
  for (const { name, value } of node.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  patch(old, [...node.childNodes]);
}

// characters that are not seen, or that change the order of those around them.
const hidden = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

const visible = (text) => text.replace(hidden, (c) => '\\u{' + c.codePointAt(0).toString(16) + '}');

// plain shows a text from elsewhere so that it cannot look like another one.
export function plain(text, most = 600) {
  text = String(text ?? '');
  const cut = text.length > most ? text.slice(0, most) + '…' : text;
  return visible(cut);
}
