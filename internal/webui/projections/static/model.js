// What is shown of a pod, worked out of what the API says: pure functions of the store.

import { table } from './table.js';

// states of pods and sources, the ones that want attention first.
export const states = table({
  problem: 'Problem',
  rejected: 'Update rejected',
  behind: 'Behind',
  waiting: 'Not reported',
  ok: 'In step',
  none: 'No API volumes',
  ended: 'Ended',
});

const order = Object.keys(states);
export const rank = (state) => order.indexOf(state);

const date = (text) => (text ? Date.parse(text) : 0);
const newer = (a, b) => a !== b && (a.length - b.length || (a > b ? 1 : -1)) > 0;

// rows returns all pods of the store, each worked out.
export function rows(store) {
  return [...names(store)].map((key) => row(store, key));
}

// names are those of pods; where pods are refused, those of their projections.
const names = (store) => new Set([...store.pods.items.keys(), ...(store.pods.state === 'live' ? [] : store.projections.items.keys())]);

// find works out one pod; null when there is none of that name.
export function find(store, key) {
  return names(store).has(key) ? row(store, key) : null;
}

function row(store, key) {
  const pod = store.pods.items.get(key);
  const projection = store.projections.items.get(key);
  const status = (projection && projection.status) || {};
  const [namespace, name] = [key.slice(0, key.indexOf('/')), key.slice(key.indexOf('/') + 1)];
  const volumes = [
    ...((pod && pod.volumes) || []).map((v) => volume(store, namespace, v, (status.volumes || []).find((s) => s.name === v.name), pod)),
    ...(status.volumes || []).filter((s) => !pod || !pod.volumes.some((v) => v.name === s.name)).map((s) => volume(store, namespace, { name: s.name }, s, pod)),
  ];
  const condition = (status.conditions || []).find((c) => c.type === 'InStep');
  const tokens = volumes.flatMap((v) => v.tokens);
  const sources = volumes.flatMap((v) => v.sources);
  const r = {
    key, namespace, name, pod, volumes, tokens, condition,
    node: (pod && pod.node) || (projection && projection.node) || '',
    reported: Boolean(projection),
    published: Math.max(0, ...volumes.map((v) => v.published)),
    rotates: Math.min(Infinity, ...tokens.filter((t) => t.rotates).map((t) => t.rotates)),
    all: sources.length + tokens.length,
    inStep: sources.filter((s) => s.state === 'ok' || s.state === 'absent').length + tokens.filter((t) => t.expires).length,
  };
  r.state = judge(store, r);
  return r;
}

const reasons = table({ Problem: 'problem', UpdateRejected: 'rejected' });

function judge(store, r) {
  if (r.pod && (r.pod.phase === 'Succeeded' || r.pod.phase === 'Failed')) return 'ended';
  if (r.condition && r.condition.status !== 'True') {
    return reasons[r.condition.reason] || 'behind';
  }
  if (r.pod && !r.volumes.length) return 'none';
  if (!r.reported) return 'waiting';
  return r.volumes.some((v) => v.sources.some((s) => s.state === 'behind')) ? 'behind' : 'ok';
}

function volume(store, namespace, v, shown, pod) {
  shown = shown || {};
  const specs = v.kind === 'projected' ? v.spec.sources || [] : v.kind ? [{ [v.kind]: v.spec }] : [];
  return {
    name: v.name, kind: v.kind || '',
    mounts: ((pod && pod.mounts) || []).filter((m) => m.volume === v.name),
    published: date(shown.publishedTime), generation: shown.generation || '', digest: shown.digest || '', problem: shown.problem || '',
    sources: (shown.sources || intended(specs, pod)).map((s) => source(store, namespace, s, specs, Boolean(shown.generation))),
    tokens: (shown.tokens || []).map(token),
    outcomes: [...(shown.checks || []).map((o) => outcome(o, true)), ...(shown.actions || []).map((o) => outcome(o, false))].sort((a, b) => b.time - a.time),
  };
}

const nameOf = table({ configMap: (p) => p.name, secret: (p) => p.secretName || p.name, downwardAPI: () => '' });
const kinds = table({ configMap: 'ConfigMap', secret: 'Secret', downwardAPI: 'Pod' });

// intended are the sources of a volume that its node has not reported.
const intended = (specs, pod) => specs.flatMap((part) => Object.keys(kinds).filter((k) => part[k])
  .map((k) => ({ kind: kinds[k], name: nameOf[k](part[k]) || (pod ? pod.name : '') })));

function source(store, namespace, s, specs, published) {
  const has = s.kind === 'ConfigMap' ? store.configMaps.items.get(namespace + '/' + s.name) : undefined;
  const known = s.kind === 'ConfigMap' && store.configMaps.state === 'live';
  const out = {
    kind: s.kind, name: s.name, published, loaded: s.publishedVersion || '', seen: s.observedVersion || '',
    has: has ? has.version : '', gone: known && !has, changed: has ? has.changed : 0,
    files: files(s, specs, has),
  };
  const want = newer(out.has, out.seen) ? out.has : out.seen;
  out.state = !out.loaded ? (out.seen ? 'behind' : published ? 'absent' : 'missing') : out.gone ? 'gone' : s.kind !== 'Pod' && newer(want, out.loaded) ? 'behind' : out.loaded === out.seen || !out.seen ? 'ok' : 'behind';
  return out;
}

// files are those that a source makes. names is false where they are all keys of an object
// whose keys the page does not read.
function files(s, specs, has) {
  const out = { names: true, list: [] };
  for (const part of specs) {
    const kind = Object.keys(kinds).find((k) => part[k]);
    if (!kind || kinds[kind] !== s.kind || (kind !== 'downwardAPI' && nameOf[kind](part[kind]) !== s.name)) continue;
    const items = part[kind].items;
    if (items) out.list.push(...items.map((i) => ({ path: i.path, from: i.key || (i.fieldRef ? i.fieldRef.fieldPath : (i.resourceFieldRef || {}).resource) || '' })));
    else if (has) out.list.push(...has.keys.map((k) => ({ path: k, from: k })));
    else out.names = false;
  }
  return out;
}

const token = (t) => ({
  path: t.path, audience: t.audience || '', issued: date(t.issuedTime), rotates: date(t.rotationTime), expires: date(t.expirationTime),
});

const outcome = (o, check) => ({
  check, container: o.container, action: o.action, result: o.result, time: date(o.time), message: o.message || '', generation: o.generation || '',
});

// matches tells whether a pod has a text in its name, or in those of what it shows.
export function matches(r, text) {
  if (!text) return true;
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const all = [r.namespace, r.name, r.node, ...r.volumes.flatMap((v) => [v.name, ...v.sources.map((s) => s.name), ...v.tokens.map((t) => t.audience)])].join('\n').toLowerCase();
  return words.every((w) => all.includes(w));
}

const byName = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

// orders are those that pods can be put into.
export const orders = table({
  attention: { label: 'attention first', by: (a, b) => rank(a.state) - rank(b.state) || byName(a, b) },
  name: { label: 'name', by: byName },
  published: { label: 'last published', by: (a, b) => b.published - a.published || byName(a, b) },
  rotation: { label: 'next rotation', by: (a, b) => (a.rotates === b.rotates ? 0 : a.rotates - b.rotates) || byName(a, b) },
});
