// One call: what was answered, the checks in their order, and what the policies ask beside
// what the call has.

import { h } from './dom.js';
import { clockTime, when } from './clock.js';
import { answer } from './calllist.js';
import { chip, counted, kind, name, notice } from './parts.js';
import { table } from './table.js';

const facts = (...rows) => {
  const there = rows.filter(([, ...values]) => values.flat(Infinity).some(Boolean));
  return there.length > 0 && h('dl', { class: 'pairs' }, there.map(([what, ...values]) => [h('dt', null, what), h('dd', null, values)]));
};

const listed = (all) => (all || []).flatMap((one, i) => [i > 0 && ', ', name(one === '' ? '""' : one)]);

// open returns the page of the call that is looked at: one of the list, or the answer to
// what was tried.
export function open(calls, id, to) {
  const one = id === 'try' ? calls.tried || { state: 'absent', message: 'Nothing was tried yet.' } : calls.open(id);
  return h('article', { class: 'detail', 'data-key': id, 'aria-labelledby': 'call-name' },
    h('p', { class: 'back' }, h('a', { href: to('/calls') }, '← All calls')),
    one.state === 'live' ? show(one.record)
      : [h('h1', { id: 'call-name', tabindex: '-1', class: one.state === 'reading' ? 'unseen' : null }, id === 'try' ? 'A token that is tried' : 'Call'),
        one.state === 'reading' ? h('p', { class: 'loading' }, 'Asking the server…')
          : [id !== 'try' && h('p', { class: 'facts' }, name(id, 'path')), notice(one.state === 'absent' ? 'plain' : 'late', titles[one.state], name(one.message, 'message'))]]);
}

const titles = table({ absent: 'Not there.', refused: 'You may not.', declined: 'The server refuses it.', waiting: 'The server does not answer.' });

// form asks whether a token may become a role. What is typed stays in the browser until it
// is sent, as the body of a request.
export const form = () => h('details', { class: 'card try', 'data-key': 'try' }, h('summary', null, 'Would a token be allowed?'),
  h('form', { 'data-form': 'try', autocomplete: 'off' },
    h('label', null, h('span', null, 'Role'), h('input', { id: 'try-role', required: true, placeholder: 'arn:aws:iam::000000000000:role/…', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', maxlength: '2048' })),
    h('label', null, h('span', null, 'Token'), h('input', { id: 'try-token', type: 'password', required: true, placeholder: 'kubectl create token …', autocomplete: 'off', spellcheck: 'false', maxlength: '20000' })),
    h('label', null, h('span', null, 'Session name'), h('input', { id: 'try-session', placeholder: 'any', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', maxlength: '64' })),
    h('p', { class: 'faint small' }, 'All checks are made, and no session is begun. The token is neither kept nor shown.'),
    h('button', { type: 'submit' }, 'Try it')));

// show returns the page of a call, or of a token that was tried, which has no id.
function show(r) {
  const refused = (r.checks || []).find((c) => c.verdict === 'no');
  return [
    h('header', { 'data-key': 'head' },
      h('h1', { id: 'call-name', tabindex: '-1' }, name(r.action)),
      r.requestID ? answer(r.code) : r.code ? answer(r.code) : chip('ok', 'would be allowed'),
      h('p', { class: 'facts' }, r.requestID ? [when(Date.parse(r.time)), ' · ', clockTime(Date.parse(r.time), 'wall'), ' · ', name(r.requestID, 'path')] : 'tried; no session was begun')),
    refused && notice('bad', ['Said no: ', name(refused.name)], refused.why && [' ', name(refused.why, 'message')]),
    r.code && h('section', { class: 'card', 'data-key': 'answer', 'aria-label': 'Answer' }, h('h2', null, r.requestID ? 'What the caller was told' : 'What it would be told'),
      h('p', { class: 'said' }, name(r.code, 'path'), ` (${r.status}): `, name(r.message || ''))),
    h('section', { class: 'card', 'data-key': 'checks', 'aria-labelledby': 'checks' }, h('h2', { id: 'checks' }, 'Checks, in their order'),
      (r.checks || []).length ? h('ol', { class: 'checks', role: 'list' }, r.checks.map((c) => check(c, c === refused))) : h('p', { class: 'faint' }, r.code ? 'None was reached.' : 'None was needed: who signed may make this call.')),
    decision(r.decision),
    h('section', { class: 'card', 'data-key': 'call', 'aria-labelledby': 'about' }, h('h2', { id: 'about' }, 'The call'), about(r)),
    r.requestID && h('p', { class: 'faint small', 'data-key': 'terminal' }, 'In a terminal: ', h('code', null, 'laterna aws explain ', name(r.requestID, ''))),
  ];
}

function about(r) {
  const t = r.token || {};
  return facts(
    ['role', r.role && name(r.role)],
    ['session', r.session && name(r.session)],
    ['caller', r.caller && name(r.caller)],
    ['token', r.token && [t.verified ? chip('ok', 'signature is good') : chip('waiting', 'not proven genuine')]],
    ['issuer', t.issuer && name(t.issuer)],
    ['subject', t.subject && name(t.subject)],
    ['audience', t.audiences && listed(t.audiences)],
    ['authorized party', t.authorizedParty !== undefined && name(t.authorizedParty)],
    ['key', (t.keyID || t.algorithm) && [name(t.keyID || 'none', 'path'), ' ', t.algorithm && kind(t.algorithm)]],
    ['claims', t.claims && listed(t.claims)],
    ['from', r.sourceIP && name(r.sourceIP)],
    ['client', r.userAgent && name(r.userAgent)],
    ['to', r.host && name((r.host || '') + (r.path || ''))],
    ['region', r.requestID && r.region && name(r.region)],
  );
}

const verdicts = table({ yes: ['ok', 'yes'], no: ['problem', 'no'], skipped: ['none', 'skipped'] });

// check is one thing that was looked at. The first that said no is marked.
function check(c, first) {
  const no = c.verdict === 'no';
  return h('li', { class: 'check ' + (first ? 'first' : no ? 'no' : '') },
    h('p', { class: 'verdict' }, h('span', null, name(c.name), ' ', c.verdict === 'yes' && c.got && name(c.got, 'got')), chip(...(verdicts[c.verdict] || ['none', c.verdict]))),
    c.verdict !== 'yes' && c.why && h('p', { class: 'why' }, name(c.why, '')),
    no && facts(['has', c.got && name(c.got)], ['wanted', c.want && name(c.want)]),
    no && (c.hints || []).length > 0 && h('div', { class: 'hints' }, h('h3', null, 'What to change'), h('ul', null, c.hints.map((one) => h('li', null, name(one, ''))))));
}

// decision shows, of the first decision that was no, the policies of the layer that said so.
function decision(all) {
  const d = (all || []).find((one) => one.outcome !== 'allowed');
  if (!d) return null;
  return (d.evaluations || []).filter((e) => e.layer === d.layer).map((e, i) => h('section', { class: 'card', 'data-key': 'policy-' + i, 'aria-label': 'Policy' },
    h('h2', null, 'Statement by statement'),
    h('p', { class: 'facts' }, 'The ', e.layer === 'resource-based policy' ? 'trust policy' : name(e.layer), ' of ', name(e.source), ' was asked for ', name(d.action), ': ', counted((e.statements || []).length, 'statement'), '.'),
    (e.statements || []).map(statement)));
}

function statement(s) {
  const parts = [];
  if (s.principal && s.principal.policy) parts.push([Boolean(s.principal.grant), 'Principal', s.principal.policy.map((p) => `${p.type} ${p.value}`), [who(s.principal.request || {})]]);
  for (const p of [s.action, s.resource]) if (p && p.element) parts.push([p.matched, p.element, p.policy, [p.request]]);
  for (const c of s.conditions || []) parts.push([c.matched, c.operator + ' ' + c.key, c.policy, c.present ? c.request : null]);
  return h('div', { class: 'statement' },
    h('h3', null, `Statement ${s.index + 1} `, s.sid && [name(s.sid), ' '], kind(s.effect), ' ', s.applies ? 'applies' : 'does not apply'),
    h('ul', { class: 'parts', role: 'list' }, parts.map(([matched, what, asks, has]) => h('li', { class: 'check ' + (matched ? '' : 'no') },
      h('p', { class: 'verdict' }, name(what, 'path'), chip(matched ? 'ok' : 'problem', matched ? 'matches' : 'differs')),
      facts(['policy', listed(asks)], ['call', has ? listed(has) : h('em', null, 'nothing')])))));
}

const who = (p) => p.federated || p.service || p.arn || p.account || 'nobody';
