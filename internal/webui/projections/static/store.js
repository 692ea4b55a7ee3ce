// What the page knows of the API: a collection for each kind that the page looks at, and
// of their objects no more than what is shown. Secrets are not among them, and of
// ConfigMaps it is the metadata alone, which says versions and names of keys.

import { Collection, get } from './api.js';
import * as clock from './clock.js';

const shownVolumes = ['projected', 'secret', 'configMap', 'downwardAPI'];

function pickPod({ metadata, spec, status }) {
  const volumes = (spec.volumes || []).map((v) => {
    const kind = shownVolumes.find((k) => v[k]);
    return kind && { name: v.name, kind, spec: v[kind] };
  }).filter(Boolean);
  const mounts = [];
  for (const c of [...(spec.initContainers || []), ...(spec.containers || [])]) {
    for (const m of c.volumeMounts || []) {
      mounts.push({ container: c.name, volume: m.name, path: m.mountPath, part: m.subPath || m.subPathExpr || '' });
    }
  }
  const ready = (status.conditions || []).some((c) => c.type === 'Ready' && c.status === 'True');
  return {
    namespace: metadata.namespace, name: metadata.name, version: metadata.resourceVersion, created: Date.parse(metadata.creationTimestamp),
    deleting: Boolean(metadata.deletionTimestamp), node: spec.nodeName || '', phase: status.phase || 'Pending', ready, volumes, mounts,
  };
}

const pickProjection = ({ metadata, spec, status }) => ({
  namespace: metadata.namespace, name: metadata.name, node: spec.nodeName, status: status || {},
});

// pickMetadata reads of a ConfigMap what its managed fields tell: when it was last
// written, and the names of its keys.
function pickMetadata({ metadata }) {
  let changed = Date.parse(metadata.creationTimestamp);
  const keys = new Set();
  for (const m of metadata.managedFields || []) {
    changed = Math.max(changed, Date.parse(m.time) || 0);
    for (const part of ['f:data', 'f:binaryData']) {
      for (const field of Object.keys((m.fieldsV1 || {})[part] || {})) {
        if (field.startsWith('f:')) keys.add(field.slice(2));
      }
    }
  }
  return { version: metadata.resourceVersion, changed, keys: [...keys].sort() };
}

// Store calls changed after every change of what it holds.
export class Store {
  constructor(changed) {
    this.changed = changed;
    const own = (path) => new Collection({ path, pick: (o) => o, changed: () => this.identityChanged() });
    this.keys = own('apis/identity.laterna.dev/v1alpha1/signingkeys');
    this.servers = own('apis/operator.openshift.io/v1/kubeapiservers');
    this.authentications = own('apis/config.openshift.io/v1/authentications');
    this.issuers = { state: 'reading', message: '', list: [] };
    this.published = null; // what is public of issuer and keys, where the rest is refused
  }

  // scope chooses the namespace whose pods are shown; '' is all of them.
  scope(namespace) {
    if (this.namespace === namespace) return;
    this.namespace = namespace;
    for (const c of [this.pods, this.projections, this.configMaps]) if (c) c.stop();
    const within = namespace ? `namespaces/${encodeURIComponent(namespace)}/` : '';
    const changed = () => this.changed();
    this.pods = new Collection({ path: `api/v1/${within}pods`, pick: pickPod, changed });
    this.projections = new Collection({ path: `apis/projection.laterna.dev/v1alpha1/${within}podprojections`, pick: pickProjection, changed });
    this.configMaps = new Collection({
      path: `api/v1/${within}configmaps`, metadata: true, changed,
      pick: (o) => {
        if (o.metadata.name === 'laterna-test-clock' && o.metadata.namespace === 'kube-system') this.moved(o.metadata.resourceVersion);
        return pickMetadata(o);
      },
    });
  }

  collections() {
    return [this.pods, this.projections, this.configMaps, this.keys, this.servers, this.authentications];
  }

  // moved asks for the time anew: a test moves the clock and says so in a ConfigMap. The
  // server may apply what is asked for a moment later.
  moved(version) {
    if (this.clockVersion === version) return;
    this.clockVersion = version;
    for (const after of [0, 300, 2000]) setTimeout(() => clock.ask().then(this.changed, () => {}), after);
  }

  identityChanged() {
    this.changed();
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.askIssuers(), 100);
  }

  // askIssuers reads what there is no watch of. Keys and issuers change together with
  // objects that there is one of.
  async askIssuers() {
    try {
      this.issuers = { state: 'live', message: '', list: (await get('openid/v1/issuers')).issuers };
    } catch (error) {
      this.issuers = { state: error.code === 403 || error.code === 401 ? 'refused' : 'waiting', message: error.message, list: [] };
    }
    if (this.issuers.state !== 'live' || this.keys.state !== 'live') await this.askPublished();
    this.changed();
  }

  async askPublished() {
    try {
      const [document, set] = await Promise.all([get('.well-known/openid-configuration'), get('openid/v1/jwks')]);
      this.published = { issuer: document.issuer, keys: set.keys || [] };
    } catch {
      this.published = null;
    }
  }
}
