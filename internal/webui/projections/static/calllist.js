// The list of calls, with how many were refused.

import { h } from './dom.js';
import { when } from './clock.js';
import { chip, name, notice, page } from './parts.js';
import { table } from './table.js';

// answers are what a call can have been answered, for those who look for one.
export const answers = table({ refused: { label: 'refused', is: (c) => Boolean(c.code) }, allowed: { label: 'allowed', is: (c) => !c.code } });

// matches tells whether all words of a text are in what is known of a call.
export const matches = (c, find) => find.toLowerCase().split(/\s+/).every((word) => c.text.includes(word));

// tally is a row of buttons that choose an answer.
export function tally(calls, chosen) {
  const one = (answer, label, n) => h('button', { type: 'button', class: 'count ' + answer, 'data-do': 'answer', 'data-answer': answer, 'data-key': 'count-' + answer, 'aria-pressed': String(chosen === answer) },
    h('b', null, n.toLocaleString()), ' ', label);
  return h('div', { class: 'tally', role: 'group', 'aria-label': 'Calls by answer', 'data-key': 'tally' },
    one('', 'all', calls.length),
    Object.entries(answers).map(([answer, { label, is }]) => one(answer, label, calls.filter(is).length)));
}

// list shows calls as links; chosen is the id of the one that is looked at.
export function list(calls, chosen, to) {
  if (!calls.length) return h('p', { class: 'faint pad', 'data-key': 'none' }, 'No call matches.');
  return page('calls', calls, (c) => h('li', { 'data-key': c.id },
    h('a', { href: to('/calls/' + c.id), class: 'call', 'aria-current': c.id === chosen ? 'true' : null },
      h('span', { class: 'who' }, name(c.action)),
      answer(c.code),
      h('span', { class: 'facts' }, c.who ? [name(shortWho(c.who)), c.claimed && ' (not proven)'] : 'nobody signed', c.role && [' → ', name(shortRole(c.role))]),
      h('span', { class: 'facts' }, when(c.time, 'wall', true), c.no && [' · said no: ', name(c.no)]),
      h('span', { class: 'facts' }, name(c.id, 'path')))));
}

// answer says what a call was answered.
export const answer = (code) => (code ? chip('problem', code) : chip('ok', 'allowed'));

// shortWho and shortRole leave out of names what is alike in all.
const shortWho = (who) => who.replace(/^system:serviceaccount:([^:]+):/, '$1/').replace(/^arn:aws[a-z-]*:(iam|sts)::/, '');
const shortRole = (role) => role.replace(/^arn:aws[a-z-]*:iam::/, '');

// refused says who may look.
export function refused(message) {
  return h('section', { class: 'empty', 'data-key': 'refused' },
    h('h1', { tabindex: '-1' }, 'You may not see the calls'),
    notice('late', 'The server refuses it:', name(message, 'message')),
    h('p', null, 'Why a call was denied is told to cluster administrators, and to whom they let read the path ', h('code', null, '/aws/explain'), ':'),
    commands(grant));
}

// empty says how to make a first call.
export function empty() {
  return h('section', { class: 'empty', 'data-key': 'empty' },
    h('h1', { tabindex: '-1' }, 'No call yet'),
    h('p', null, 'Calls to STS and IAM show up here as they are answered, each with the checks that were made. The server keeps the last ones in memory, and begins anew when it starts. To make one, have a role that a service account may assume, and assume it with its token:'),
    commands(`laterna aws init --service-account default/default\n${call('default')}`),
    h('p', null, 'And as one that the role does not trust, to see it denied:'),
    commands(call('kube-system')));
}

// call is a line of shell that assumes the role with a token of a namespace's account.
const call = (namespace) => `kubectl -n ${namespace} create token default --audience sts.amazonaws.com |
  curl -s -d Action=AssumeRoleWithWebIdentity -d Version=2011-06-15 \\
    -d RoleArn=arn:aws:iam::000000000000:role/default-default -d RoleSessionName=me \\
    --data-urlencode WebIdentityToken@- ${server()}`;

// server is where the page's server has STS, as an argument of curl. What is typed into a
// shell holds nothing that a shell understands.
function server() {
  const { protocol, href } = new URL('../aws/', document.baseURI);
  return (protocol === 'https:' ? '--cacert CA.CRT ' : '') + (/^[a-z]+:[\w./:-]+$/.test(href) ? href : '"$SERVER/aws/"');
}

// absent says that there is nothing to look at.
export const absent = () => h('section', { class: 'empty', 'data-key': 'absent' }, h('h1', { tabindex: '-1' }, 'AWS calls'), h('p', { class: 'faint' }, 'This server plays neither STS nor IAM.'));

const commands = (text) => h('pre', { tabindex: '0', 'aria-label': 'commands' }, h('code', null, text));

const grant = `kubectl create clusterrole aws-explain --verb=get,post \\
  --non-resource-url=/aws/explain,/aws/explain/*
kubectl create clusterrolebinding aws-explain --clusterrole=aws-explain --user=NAME`;
