// The list of pods, with how many there are of each state.

import { h } from './dom.js';
import { when } from './clock.js';
import { states } from './model.js';
import { chip, counted, name, page } from './parts.js';

// tally is a row of buttons that choose a state.
export function tally(rows, chosen) {
  const count = (state) => rows.filter((r) => r.state === state).length;
  const one = (state, label, n) => h('button', { type: 'button', class: 'count ' + state, 'data-do': 'state', 'data-state': state, 'data-key': 'count-' + state, 'aria-pressed': String(chosen === state) },
    h('b', null, n.toLocaleString()), ' ', label);
  return h('div', { class: 'tally', role: 'group', 'aria-label': 'Pods by state' },
    one('', 'all', rows.length),
    Object.keys(states).filter((s) => count(s) || s === chosen).map((s) => one(s, states[s].toLowerCase(), count(s))));
}

// list shows pods as links; chosen is the key of the one that is looked at.
export function list(rows, chosen, to) {
  if (!rows.length) return h('p', { class: 'faint pad' }, 'No pod matches.');
  return page('pods', rows, (r) => h('li', { 'data-key': r.key },
    h('a', { href: to('/pods/' + r.key), class: 'pod', 'aria-current': r.key === chosen ? 'true' : null },
      h('span', { class: 'who' }, name(r.name), ' ', h('span', { class: 'in' }, name(r.namespace, ''))),
      chip(r.state),
      h('span', { class: 'facts' }, facts(r)))));
}

function facts(r) {
  const parts = [r.all ? `${r.inStep} of ${r.all} in step` : counted(r.volumes.length, 'volume')];
  if (r.published) parts.push(h('span', null, 'published ', when(r.published, 'wall', true)));
  if (Number.isFinite(r.rotates)) parts.push(h('span', null, 'rotates ', when(r.rotates, 'system', true)));
  return parts.flatMap((p, i) => (i ? [' · ', p] : [p]));
}

// empty says what to do first.
export function empty(namespace) {
  // What is typed into a shell holds nothing but what can be the name of one.
  const within = /^[a-z0-9-]+$/.test(namespace) ? `kubectl -n ${namespace} ` : 'kubectl ';
  const command = (text) => h('pre', { tabindex: '0', 'aria-label': 'commands' }, h('code', null, text.replaceAll('kubectl ', within)));
  return h('section', { class: 'empty' },
    h('h1', null, namespace ? 'No pods in this namespace' : 'No pods yet'),
    h('p', null, 'Pods show up here as soon as they exist, with what their volumes have loaded and how long their tokens live. To see one:'),
    command(first),
    h('p', null, 'Then change what it reads, and watch it arrive:'),
    command(`kubectl patch configmap app -p '{"data":{"mode":"safe"}}'`));
}

const first = `kubectl create configmap app --from-literal=mode=fast
kubectl apply -f - <<EOF
apiVersion: v1
kind: Pod
metadata:
  name: hello
spec:
  containers:
  - name: main
    image: busybox
    command: [sleep, infinity]
    volumeMounts:
    - {name: config, mountPath: /etc/app}
  volumes:
  - name: config
    configMap: {name: app}
EOF`;
