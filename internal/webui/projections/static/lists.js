// Views over all pods: their tokens, and what happened last.

import { h } from './dom.js';
import { now, when } from './clock.js';
import { chip, counted, kind, name, page } from './parts.js';
import { outcome } from './pod.js';
import * as timeline from './timeline.js';

const podLink = (r, to) => h('a', { href: to('/pods/' + r.key) }, name(r.namespace, ''), ' / ', name(r.name));

// tokens are those of all pods, the next to be replaced first.
export function tokens(rows, to) {
  const all = rows.flatMap((r) => r.volumes.flatMap((v) => v.tokens.map((t) => ({ r, v, t }))));
  all.sort((a, b) => (a.t.rotates || Infinity) - (b.t.rotates || Infinity) || (a.r.key < b.r.key ? -1 : 1));
  const soon = all.filter(({ t }) => t.rotates && t.rotates - now('system') < 3600e3).length;
  return [
    h('header', { class: 'head', 'data-key': 'head' }, h('h1', { tabindex: '-1' }, 'Tokens'),
      h('p', { class: 'facts' }, counted(all.length, 'token'), soon ? ` · ${soon.toLocaleString()} replaced within the hour` : '', ' · next rotation first')),
    all.length ? page('tokens', all, ({ r, v, t }) => h('li', { class: 'card row', 'data-key': [r.key, v.name, t.path].join('/') },
      h('p', { class: 'line' }, podLink(r, to), ' ', h('span', { class: 'faint' }, name(v.name), ' / ', name(t.path, 'path')), ' ', h('span', { class: 'faint' }, 'for ', t.audience ? name(t.audience) : 'the API')),
      timeline.token(t)))
      : h('p', { class: 'faint' }, 'No pod shows a service account token.'),
  ];
}

// updates are publications, checks and actions of all pods, the newest first.
export function updates(rows, to) {
  const all = [];
  for (const r of rows) {
    for (const v of r.volumes) {
      if (v.published) all.push({ r, v, time: v.published });
      for (const o of v.outcomes) all.push({ r, v, o, time: o.time });
    }
  }
  all.sort((a, b) => b.time - a.time || (a.r.key < b.r.key ? -1 : 1));
  return [
    h('header', { class: 'head', 'data-key': 'head' }, h('h1', { tabindex: '-1' }, 'Last updates'),
      h('p', { class: 'facts' }, 'the last publication of each volume, and the last outcome of each check and action')),
    all.length ? page('updates', all, ({ r, v, o, time }) => h('li', { class: 'card row', 'data-key': [r.key, v.name, o ? [o.check, o.container, o.action].join('/') : ''].join('/') },
      h('p', { class: 'line' }, podLink(r, to), ' ', kind('volume'), ' ', name(v.name), ' ',
        o ? outcome(o) : [chip('ok', 'published'), ' ', h('span', { class: 'faint' }, when(time))])))
      : h('p', { class: 'faint' }, 'Nothing was published yet.'),
  ];
}
