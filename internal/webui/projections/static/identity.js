// Who issues tokens, and which keys sign them.

import { h } from './dom.js';
import { now, when } from './clock.js';
import { chip, kind, name, notice } from './parts.js';
import { table } from './table.js';
import * as timeline from './timeline.js';

const date = (text) => (text ? Date.parse(text) : 0);
// A key whose tokens have no end is kept until the year 9999.
const never = Date.UTC(9000, 0);

// show returns issuers, then keys.
export function show(store) {
  return [
    h('header', { class: 'head', 'data-key': 'head' }, h('h1', { tabindex: '-1' }, 'Issuers and keys'), h('p', { class: 'facts' }, 'who service account tokens are from, and what they are signed with')),
    h('section', { 'data-key': 'issuers', 'aria-labelledby': 'issuers' }, h('h2', { id: 'issuers' }, 'Issuers'), issuers(store)),
    h('section', { 'data-key': 'rollout', 'aria-labelledby': 'rollout' }, h('h2', { id: 'rollout' }, 'On their way to nodes'), rollout(store)),
    h('section', { 'data-key': 'keys', 'aria-labelledby': 'keys' }, h('h2', { id: 'keys' }, 'Signing keys'), keys(store)),
  ];
}

const states = table({ Active: ['ok', 'issues tokens'], Trusted: ['waiting', 'still accepted'], Ended: ['ended', 'not accepted any more'] });

function issuers(store) {
  const server = store.servers.items.get('/cluster');
  let list = store.issuers.list;
  const out = [];
  if (store.issuers.state !== 'live') {
    const told = server ? (server.status || {}).serviceAccountIssuers || [] : [];
    list = told.map((i) => ({ issuer: i.name, state: !i.expirationTime ? 'Active' : date(i.expirationTime) > now('system') ? 'Trusted' : 'Ended', until: i.expirationTime }));
    if (!list.length && store.published) list = [{ issuer: store.published.issuer, state: 'Active' }];
    if (store.issuers.state === 'refused') out.push(notice('plain', 'You may not read the list of issuers.', 'This is what is public.'));
  }
  const set = store.authentications.items.get('/cluster');
  const wanted = set && set.spec && set.spec.serviceAccountIssuer;
  if (wanted && !list.some((i) => i.issuer === wanted && i.state === 'Active')) out.push(notice('late', 'Another issuer is asked for:', name(wanted)));
  out.push(list.length ? h('ul', { role: 'list', class: 'list' }, list.map((i) => h('li', { class: 'card row', 'data-key': i.issuer },
    h('p', { class: 'line' }, name(i.issuer, 'path'), ' ', chip(...(states[i.state] || ['none', i.state])),
      i.until && h('span', { class: 'faint' }, i.state === 'Ended' ? 'ended ' : 'until then accepted: ', when(date(i.until), 'system'))))))
    : h('p', { class: 'faint' }, 'Nothing is known of issuers.'));
  return out;
}

function rollout(store) {
  const server = store.servers.items.get('/cluster');
  if (!server || !server.status) {
    return notice('plain', store.servers.state === 'refused' ? 'You may not read kubeapiservers.' : 'Nothing is reported yet.', name(store.servers.message, 'message'));
  }
  const { conditions = [], latestAvailableRevision: revision = 0, nodeStatuses: nodes = [] } = server.status;
  const degraded = conditions.find((c) => c.type === 'ServiceAccountIssuerDegraded' && c.status === 'True');
  return [
    degraded && notice('bad', 'The issuer that is asked for cannot be taken.', name(degraded.message, 'message')),
    h('p', { class: 'facts' }, 'Every change of issuer or key is a revision, and nodes replace the tokens of their pods. The newest is ', h('b', null, revision), '.'),
    nodes.length ? h('ul', { role: 'list', class: 'list' }, nodes.slice(0, 200).map((n) => h('li', { class: 'card row', 'data-key': n.nodeName },
      h('p', { class: 'line' }, kind('Node'), ' ', name(n.nodeName), ' ', n.currentRevision === revision ? chip('ok', 'has revision ' + n.currentRevision) : chip('behind', `has revision ${n.currentRevision}, on its way to ${n.targetRevision || revision}`)))))
      : h('p', { class: 'faint' }, 'No node reports.'),
  ];
}

const keyStates = table({ Signing: ['ok', 'signs'], Upcoming: ['waiting', 'published, signs later'], Retired: ['ended', 'retired, still accepted'] });

function keys(store) {
  if (store.keys.state === 'refused') return [notice('plain', 'You may not read signing keys.', 'Only administrators may. These are the public ones:'), publicKeys(store)];
  const all = [...store.keys.items.values()].sort((a, b) => date(b.status.published) - date(a.status.published));
  if (!all.length) return h('p', { class: 'faint' }, store.keys.state === 'reading' ? 'Reading…' : 'No keys are listed.');
  return h('ul', { role: 'list', class: 'list' }, all.map((k) => key(k.metadata.name, k.spec.type, k.status)));
}

function key(id, type, s) {
  const ends = date(s.expires);
  const marks = [{ at: date(s.published), text: 'published' }, { at: date(s.signsFrom), text: 'signs' }, { at: date(s.retired), text: 'retired' }];
  if (marks[1].at === marks[0].at) marks.shift();
  if (ends && ends < never) marks.push({ at: ends, text: s.state === 'Retired' ? 'goes' : 'last token ends' });
  return h('li', { class: 'card row', 'data-key': id },
    h('p', { class: 'line' }, name(id, 'path'), ' ', kind(type), ' ', chip(...(keyStates[s.state] || ['none', s.state]))),
    timeline.line('key ' + id, marks) || h('p', { class: 'facts' }, marks.filter((m) => m.at).map((m) => [m.text + ' ', when(m.at, 'system'), ' '])),
    ends >= never && h('p', { class: 'facts' }, 'A token without an end is signed with it: it is accepted until the key is deleted.'));
}

const publicKeys = (store) => h('ul', { role: 'list', class: 'list' }, ((store.published || {}).keys || []).map((k) => h('li', { class: 'card row', 'data-key': k.kid },
  h('p', { class: 'line' }, name(k.kid, 'path'), ' ', kind(k.alg || k.kty || 'key'), ' ', chip('ok', 'published')))));
