// One pod: its volumes, their sources and files, tokens, and what happened at updates.

import { h, plain } from './dom.js';
import { when } from './clock.js';
import { chip, counted, kind, name, notice } from './parts.js';
import { table } from './table.js';
import * as timeline from './timeline.js';

// show returns the pod's page.
export function show(r, to) {
  const phase = r.pod ? (r.pod.deleting ? 'being deleted' : r.pod.phase === 'Running' ? (r.pod.ready ? 'running, ready' : 'running, not ready') : r.pod.phase.toLowerCase()) : '';
  return h('article', { class: 'detail', 'data-key': r.key, 'aria-labelledby': 'pod-name' },
    h('p', { class: 'back' }, h('a', { href: to('/pods') }, '← All pods')),
    h('header', null,
      h('h1', { id: 'pod-name', tabindex: '-1' }, name(r.name)),
      chip(r.state),
      h('p', { class: 'facts' }, 'in ', name(r.namespace), r.node && [' on ', name(r.node)], phase && ' · ' + phase, r.pod && [' · created ', when(r.pod.created)])),
    headline(r),
    r.volumes.map((v) => volume(v)),
    !r.volumes.length && h('p', { class: 'faint' }, 'This pod has no volume of a ConfigMap, a Secret, the Downward API or a token.'));
}

function headline(r) {
  if (r.state === 'problem' || r.state === 'rejected') {
    return notice('bad', r.state === 'rejected' ? 'A check refused the newest version.' : 'The files do not follow their sources.', 'What was published before stays readable.');
  }
  if (r.state === 'behind') return notice('late', 'A newer version is on its way.', 'The API has it; the files do not yet.');
  if (r.state === 'waiting') return notice('plain', 'Its node has not reported what it published.', r.node ? 'It does so once the files are there.' : 'The pod is not bound to a node yet.');
  return null;
}

function volume(v) {
  return h('section', { class: 'card', 'data-key': 'volume-' + v.name, 'aria-label': 'Volume ' + plain(v.name) },
    h('header', null,
      h('h2', null, name(v.name)), v.kind && kind(v.kind),
      h('p', { class: 'facts' }, v.published ? ['published ', when(v.published)] : 'not published yet')),
    v.mounts.length > 0 && h('ul', { class: 'mounts', role: 'list', 'aria-label': 'Mounted at' }, v.mounts.map((m) => h('li', null, name(m.path, 'path'), ' in ', name(m.container), m.part && [' (', name(m.part, 'path'), ' alone)']))),
    v.problem && notice('bad', 'Problem:', name(v.problem, 'message')),
    h('ul', { class: 'sources', role: 'list', 'aria-label': 'Sources' }, v.sources.map(source), v.tokens.map(token)),
    outcomes(v),
    v.generation && h('details', { class: 'more-about', 'data-key': 'about' }, h('summary', null, 'Generation and digest'),
      h('dl', null, h('dt', null, '..data leads to'), h('dd', null, name(v.generation, 'path')), v.digest && [h('dt', null, 'digest'), h('dd', null, name(v.digest, 'path digest'))])));
}

const words = table({ ok: ['ok', 'in step'], behind: ['behind', 'behind'], missing: ['problem', 'missing'], gone: ['problem', 'deleted'], absent: ['none', 'optional, absent'] });

function source(s) {
  return h('li', { class: 'source', 'data-key': s.kind + '/' + s.name },
    h('p', { class: 'line' }, kind(s.kind), ' ', name(s.name), ' ', chip(...words[s.state])),
    h('p', { class: 'facts' }, versions(s)),
    filesOf(s));
}

// versions says what the files show, against what there is.
function versions(s) {
  const parts = [];
  if (s.loaded) parts.push(['files show ', name(s.loaded, 'version')]);
  else if (s.state === 'behind') parts.push(s.published ? 'files show an earlier version' : 'not shown yet');
  if (s.kind === 'ConfigMap' && s.has) parts.push(['API has ', name(s.has, 'version')]);
  else if (s.seen) parts.push(['node knows ', name(s.seen, 'version')]);
  if (s.gone && s.loaded) parts.push('no longer in the API; the old files stay');
  if (s.changed) parts.push(['written ', when(s.changed)]);
  return parts.flatMap((p, i) => (i ? [' · ', p] : [p]));
}

const mostFiles = 12;

function filesOf(s) {
  const { list, names } = s.files;
  if (s.state === 'absent' || s.state === 'missing') return null;
  if (!list.length) return names ? null : h('p', { class: 'faint small' }, s.kind === 'Secret' ? 'a file for each key; keys of Secrets are not read' : 'a file for each key');
  const one = (f) => h('li', null, name(f.path, 'path'), f.from && f.from !== f.path && [' ← ', name(f.from, 'from')]);
  return [
    h('ul', { class: 'files', role: 'list', 'aria-label': 'Files' }, list.slice(0, mostFiles).map(one)),
    list.length > mostFiles && h('details', { class: 'more-files' }, h('summary', null, counted(list.length - mostFiles, 'more file')), h('ul', { class: 'files', role: 'list' }, list.slice(mostFiles, 1000).map(one))),
  ];
}

function token(t) {
  return h('li', { class: 'source', 'data-key': 'token/' + t.path },
    h('p', { class: 'line' }, kind('Token'), ' ', name(t.path, 'path'), ' ', h('span', { class: 'faint' }, 'for ', t.audience ? name(t.audience) : 'the API')),
    timeline.token(t));
}

const results = table({ Succeeded: 'ok', Failed: 'problem', Rejected: 'problem', Skipped: 'none' });

// outcome is a line about a check or an action.
export const outcome = (o) => [
  chip(results[o.result] || 'none', String(o.result).toLowerCase()), ' ', name(o.action, 'path'), ' in ', name(o.container), ' ',
  h('span', { class: 'faint' }, when(o.time)),
  o.message && h('span', { class: 'message' }, name(o.message, '')),
];

function outcomes(v) {
  if (!v.outcomes.length) return null;
  return h('div', { class: 'outcomes' }, h('h3', null, 'Last checks and actions'),
    h('ul', { role: 'list' }, v.outcomes.map((o) => h('li', { 'data-key': [o.check, o.container, o.action].join('/') }, outcome(o)))));
}
