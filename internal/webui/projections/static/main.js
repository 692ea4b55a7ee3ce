// The page: what is looked at stands in the address behind #, what is known in the store;
// every change of either draws the view anew, at most ten times a second.

import * as call from './call.js';
import * as calllist from './calllist.js';
import { Calls } from './calls.js';
import * as clock from './clock.js';
import { h, patch, plain } from './dom.js';
import * as identity from './identity.js';
import { tokens, updates } from './lists.js';
import * as model from './model.js';
import { chip, counted, fold, more, name, notice } from './parts.js';
import * as pod from './pod.js';
import * as podlist from './podlist.js';
import { Store } from './store.js';
import { table } from './table.js';
import * as timeline from './timeline.js';

const $ = (id) => document.getElementById(id);
const views = table({ pods: 'Pods', tokens: 'Tokens', updates: 'Updates', identity: 'Issuers', calls: 'AWS calls' });

// here is what the address says: /view/… and what filters.
function here() {
  const [path, query] = location.hash.slice(1).split('?');
  const [view, ...rest] = path.split('/').filter(Boolean).map(decode);
  const filter = new URLSearchParams(query);
  const text = (k) => (filter.get(k) || '').slice(0, 200);
  return {
    view: views[view] ? view : 'pods', key: rest.length === (view === 'calls' ? 1 : 2) ? rest.join('/') : '',
    find: text('find'), namespace: text('namespace'), order: model.orders[text('order')] ? text('order') : 'attention', state: model.states[text('state')] ? text('state') : '',
    answer: calllist.answers[text('answer')] ? text('answer') : '',
  };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// to is the address of a path, with the filters that are set and what changes of them.
function to(path, change) {
  const set = new URLSearchParams();
  const { find, namespace, order, state, answer } = { ...at, ...change };
  for (const [k, v] of Object.entries({ find, namespace, state, answer, order: order === 'attention' ? '' : order })) if (v) set.set(k, v);
  const query = set.toString();
  return '#' + path.split('/').map(encodeURIComponent).join('/') + (query ? '?' + query : '');
}

let at = here();
let drawn = 0;
let rest = 100; // milliseconds between two drawings: what takes long is done less often
let asked = false;
const store = new Store(draw);
const calls = new Calls(draw);
store.scope(at.namespace);

function draw() {
  if (asked) return;
  asked = true;
  setTimeout(() => requestAnimationFrame(() => {
    asked = false;
    const begun = Date.now();
    render();
    drawn = Date.now();
    rest = Math.max(100, 4 * (drawn - begun));
  }), Math.max(0, rest - (Date.now() - drawn)));
}

function render() {
  patch($('nav'), [h('ul', { role: 'list' }, Object.entries(views).map(([v, title]) => h('li', null, h('a', { href: to('/' + v, (v === 'calls') === (at.view === 'calls') ? {} : { find: '' }), 'aria-current': v === at.view ? 'page' : null }, titled(title)))))]);
  $('tools').hidden = at.view === 'identity' || (at.view === 'calls' && !calls.list.length);
  $('order').closest('label').hidden = at.view !== 'pods';
  $('namespace').closest('label').hidden = at.view === 'calls';
  $('find').placeholder = at.view === 'calls' ? 'action, who, role or request' : 'pod, volume or source';
  const all = model.rows(store);
  const found = all.filter((r) => model.matches(r, at.find));
  patch($('notices'), notices());
  patch($('now'), state());
  patch($('main'), content(all, found));
  $('main').className = at.view + (at.view === 'pods' || at.view === 'calls' ? ' two' : '') + (at.key ? ' one' : '');
  $('tools').classList.toggle('one', Boolean(at.key));
  document.title = (at.key ? plain(at.key.split('/').pop(), 100) : views[at.view]) + ' · Laterna projections';
  namespaces(all);
  told(all);
}

// titled leaves out the second word of a title where there is little room.
function titled(title) {
  const [first, ...more] = title.split(' ');
  return [first, more.map((word) => h('span', { class: 'wide' }, ' ' + word))];
}

function content(all, found) {
  if (at.view === 'identity') return identity.show(store);
  if (at.view === 'calls') return callsContent();
  if (store.pods.state === 'reading') return [h('h1', { class: 'unseen' }, 'Projections'), h('p', { class: 'loading' }, 'Reading the API…')];
  if (at.view === 'tokens') return tokens(found, to);
  if (at.view === 'updates') return updates(found, to);
  if (!all.length && !at.key) return store.pods.state === 'live' ? [podlist.empty(at.namespace)] : [h('div', { class: 'empty' }, h('h1', { tabindex: '-1' }, 'Pods'), h('p', { class: 'faint' }, 'Nothing can be shown for now.'))];
  const shown = found.filter((r) => !at.state || r.state === at.state).sort(model.orders[at.order].by);
  const one = at.key && model.find(store, at.key);
  return [
    h('section', { class: 'all', 'data-key': 'all', 'aria-labelledby': 'pods' }, h('h1', { id: 'pods', class: 'unseen', tabindex: '-1' }, 'Pods'),
      podlist.tally(found, at.state), podlist.list(shown, at.key, to)),
    h('div', { class: 'side', 'data-key': 'side', role: 'region', 'aria-label': 'Pod', tabindex: one ? '0' : null }, one ? pod.show(one, to) : at.key ? [h('p', { class: 'back' }, h('a', { href: to('/pods') }, '← All pods')), h('p', { class: 'faint' }, 'There is no pod ', name(at.key), ' (any more).')]
      : h('p', { class: 'faint hint' }, 'Choose a pod to see its volumes, sources and tokens.')),
  ];
}

function callsContent() {
  if (calls.state === 'reading') return [h('h1', { class: 'unseen' }, 'AWS calls'), h('p', { class: 'loading' }, 'Reading the calls…')];
  if (calls.state === 'refused') return [calllist.refused(calls.message)];
  if (calls.state === 'absent') return [calllist.absent()];
  if (!calls.list.length && !at.key) return calls.state === 'live' ? [calllist.empty()] : [h('div', { class: 'empty' }, h('h1', { tabindex: '-1' }, 'AWS calls'), h('p', { class: 'faint' }, 'Nothing can be shown for now.'))];
  const found = calls.list.filter((c) => calllist.matches(c, at.find));
  const shown = found.filter((c) => !at.answer || calllist.answers[at.answer].is(c));
  return [
    h('section', { class: 'all', 'data-key': 'all', 'aria-labelledby': 'calls' }, h('h1', { id: 'calls', class: 'unseen', tabindex: '-1' }, 'AWS calls'),
      calllist.tally(found, at.answer), call.form(), calllist.list(shown, at.key, to)),
    h('div', { class: 'side', 'data-key': 'side', role: 'region', 'aria-label': 'Call', tabindex: at.key ? '0' : null }, at.key ? call.open(calls, at.key, to)
      : h('p', { class: 'faint hint' }, 'Choose a call to see what was checked, what said no, and what to change.')),
  ];
}

// notices say what whoever looks may not see, and what that leaves out.
function notices() {
  if (at.view === 'identity' || at.view === 'calls') return []; // they say for themselves
  const out = [];
  const kinds = [['pods', store.pods], ['podprojections', store.projections], ['configmaps', store.configMaps]].filter(([, c]) => c.state === 'refused');
  if (kinds.length) {
    const where = at.namespace ? ['in namespace ', name(at.namespace)] : 'in all namespaces';
    const so = store.pods.state === 'refused' ? (at.namespace ? '' : 'If you may in one namespace, name it above.')
      : store.projections.state === 'refused' ? 'What pods have loaded is not shown.' : 'Versions are those that nodes know.';
    out.push(notice('late', h('span', null, `You may not list ${kinds.map(([k]) => k).join(', ')} `, where, '.'), so, ' ', name(kinds[0][1].message, 'message')));
  }
  if (store.projections.state === 'absent') out.push(notice('late', 'This server does not know the kind PodProjection.', 'What pods have loaded is not shown.'));
  return out;
}

// state says how the page is connected and what time the server has.
function state() {
  const kinds = at.view === 'calls' ? [calls] : store.collections();
  const lost = kinds.filter((c) => c.state === 'waiting');
  const moved = clock.moved();
  return [
    lost.length ? chip('problem', 'Connection lost, trying again') : kinds.some((c) => c.state === 'reading') ? chip('waiting', 'Connecting') : kinds[0].state === 'refused' ? chip('waiting', 'Refused') : chip('ok', 'Live'),
    moved ? h('span', { class: 'moved' }, `clock ${moved > 0 ? '+' : '−'}${clock.span(moved)}`) : null,
  ];
}

function namespaces(all) {
  if (at.namespace) return; // then there is but one
  const known = [...new Set(all.map((r) => r.namespace))].sort().slice(0, 500);
  patch($('namespaces'), known.map((n) => h('option', { value: n, 'data-key': n })));
}

// told has screen readers say when pods come to need attention, or do no more.
let before = '';
function told(all) {
  if (at.view === 'calls') {
    const denied = calls.list.filter((c) => c.code).length;
    say(calls.state === 'live' ? `${counted(calls.list.length, 'call')}, ${denied.toLocaleString()} refused` : '');
    return;
  }
  if (store.projections.state !== 'live') return;
  const bad = all.filter((r) => r.state === 'problem' || r.state === 'rejected').length;
  const text = bad ? counted(bad, 'pod') + (bad === 1 ? ' has a problem' : ' have a problem') : 'no pod has a problem';
  say(text);
}

function say(text) {
  if (text !== before) $('said').textContent = text;
  before = text;
}

function moveTo() {
  const was = at;
  at = here();
  store.scope(at.namespace);
  calls.follow(at.view === 'calls');
  if (was.find !== at.find || was.state !== at.state || was.answer !== at.answer || was.namespace !== at.namespace || was.view !== at.view) fold();
  for (const [id, value] of [['find', at.find], ['namespace', at.namespace], ['order', at.order]]) if (document.activeElement !== $(id)) $(id).value = value;
  render();
  if (was.view !== at.view || was.key !== at.key) {
    // The heading of what came, where it took the place of what was looked at.
    const heading = at.key && matchMedia('(max-width: 56rem)').matches ? document.querySelector('.side h1') : !at.key && was.view !== at.view ? document.querySelector('main h1') : null;
    if (heading) heading.focus();
    if (at.key && heading) scrollTo(0, 0);
  }
}

const does = table({
  state: (e) => { location.hash = to('/pods', { state: e.dataset.state === at.state ? '' : e.dataset.state }); },
  answer: (e) => { location.hash = to('/calls', { answer: e.dataset.answer === at.answer ? '' : e.dataset.answer }); },
  more: (e) => { more(e.dataset.list); render(); },
  skip: () => $('main').focus(),
});

document.addEventListener('click', (event) => {
  const e = event.target.closest('[data-do]');
  if (!e) return;
  event.preventDefault();
  does[e.dataset.do](e);
});

const path = () => '/' + at.view + (at.key ? '/' + at.key : '');
const replace = (change) => { history.replaceState(null, '', to(path(), change)); moveTo(); };
document.addEventListener('submit', (event) => {
  event.preventDefault();
  if (event.target.dataset.form === 'try') tryToken();
});
function tryToken() {
  const text = (id) => $(id).value.trim();
  calls.ask({ role: text('try-role'), token: text('try-token'), session: text('try-session') });
  $('try-token').value = '';
  location.hash = to('/calls/try');
}
$('find').addEventListener('input', (event) => replace({ find: event.target.value.trim() }));
$('namespace').addEventListener('change', (event) => replace({ namespace: event.target.value.trim() }));
$('order').addEventListener('change', (event) => replace({ order: event.target.value }));
$('order').append(...Object.entries(model.orders).map(([value, o]) => h('option', { value }, o.label)));
addEventListener('hashchange', moveTo);

const askClock = () => clock.ask().then(draw, () => {});
document.addEventListener('visibilitychange', () => document.hidden || askClock());
setInterval(askClock, 30000);
setInterval(() => {
  clock.tick(document.body);
  timeline.tick(document.body);
}, 1000);
await clock.ask().catch(() => {});
moveTo();
store.askIssuers();
