package compat

import (
	"fmt"
	"strings"
	"testing"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// The definitions of this file are as large and as deep as those of operators that have a
// pod's whole template among their fields.

func listSchema(items m, keys ...string) m {
	out := m{"type": "array", "description": words(6), "items": items}
	if len(keys) > 0 {
		out["x-kubernetes-list-type"], out["x-kubernetes-list-map-keys"] = "map", keys
	} else {
		out["x-kubernetes-list-type"] = "atomic"
	}
	return out
}

func recordSchema(required []string, properties m) m {
	out := m{"type": "object", "description": words(6), "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func numberSchema() m { return m{"type": "integer", "format": "int32", "description": words(6)} }
func flagSchema() m   { return m{"type": "boolean", "description": words(6)} }

// amountSchema is a quantity or a port, as text or number.
func amountSchema(pattern string) m {
	out := m{"anyOf": []m{{"type": "integer"}, {"type": "string"}}, "x-kubernetes-int-or-string": true, "description": words(3)}
	if pattern != "" {
		out["pattern"] = pattern
	}
	return out
}

const quantityPattern = `^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$`

func amountsSchema() m {
	return m{"type": "object", "description": words(3), "additionalProperties": amountSchema(quantityPattern)}
}

// textSchemas has a property of text for each name.
func textSchemas(names ...string) m {
	out := m{}
	for _, name := range names {
		out[name] = m{"type": "string", "description": words(6)}
	}
	return out
}

func withSchemas(into m, more m) m {
	for name, schema := range more {
		into[name] = schema
	}
	return into
}

func selectorSchema() m {
	out := recordSchema(nil, m{
		"matchLabels":      m{"type": "object", "description": words(6), "additionalProperties": m{"type": "string"}},
		"matchExpressions": listSchema(recordSchema([]string{"key", "operator"}, withSchemas(textSchemas("key", "operator"), m{"values": listSchema(m{"type": "string"})}))),
	})
	out["x-kubernetes-map-type"] = "atomic"
	return out
}

// affinitySchema nests as that of pods does.
func affinitySchema() m {
	term := func() m {
		return recordSchema([]string{"topologyKey"}, withSchemas(textSchemas("topologyKey"), m{"labelSelector": selectorSchema(), "namespaceSelector": selectorSchema(),
			"namespaces": listSchema(m{"type": "string"}), "matchLabelKeys": listSchema(m{"type": "string"}), "mismatchLabelKeys": listSchema(m{"type": "string"})}))
	}
	ofPods := func() m {
		return recordSchema(nil, m{"requiredDuringSchedulingIgnoredDuringExecution": listSchema(term()),
			"preferredDuringSchedulingIgnoredDuringExecution": listSchema(recordSchema([]string{"weight", "podAffinityTerm"}, m{"weight": numberSchema(), "podAffinityTerm": term()}))})
	}
	expressions := func() m {
		return listSchema(recordSchema([]string{"key", "operator"}, withSchemas(textSchemas("key", "operator"), m{"values": listSchema(m{"type": "string"})})))
	}
	node := func() m {
		return m{"type": "object", "properties": m{"matchExpressions": expressions(), "matchFields": expressions()}}
	}
	return recordSchema(nil, m{"podAffinity": ofPods(), "podAntiAffinity": ofPods(), "nodeAffinity": recordSchema(nil, m{
		"requiredDuringSchedulingIgnoredDuringExecution":  recordSchema([]string{"nodeSelectorTerms"}, m{"nodeSelectorTerms": listSchema(node())}),
		"preferredDuringSchedulingIgnoredDuringExecution": listSchema(recordSchema([]string{"weight", "preference"}, m{"weight": numberSchema(), "preference": node()})),
	})})
}

func handlerSchemas() m {
	return m{"exec": recordSchema(nil, m{"command": listSchema(m{"type": "string"})}), "tcpSocket": recordSchema([]string{"port"}, withSchemas(textSchemas("host"), m{"port": amountSchema("")})),
		"sleep": recordSchema(nil, m{"seconds": numberSchema()}),
		"httpGet": recordSchema([]string{"port"}, withSchemas(textSchemas("host", "path", "scheme"), m{"port": amountSchema(""),
			"httpHeaders": listSchema(recordSchema([]string{"name", "value"}, textSchemas("name", "value")))}))}
}

func probeSchema() m {
	return recordSchema(nil, withSchemas(handlerSchemas(), m{"failureThreshold": numberSchema(), "initialDelaySeconds": numberSchema(), "periodSeconds": numberSchema(), "successThreshold": numberSchema(),
		"terminationGracePeriodSeconds": numberSchema(), "timeoutSeconds": numberSchema(), "grpc": recordSchema([]string{"port"}, m{"port": numberSchema(), "service": m{"type": "string", "default": ""}})}))
}

func securitySchema() m {
	return recordSchema(nil, withSchemas(textSchemas("procMount", "fsGroupChangePolicy"), m{"runAsUser": numberSchema(), "runAsGroup": numberSchema(), "runAsNonRoot": flagSchema(), "privileged": flagSchema(),
		"capabilities":   recordSchema(nil, m{"add": listSchema(m{"type": "string"}), "drop": listSchema(m{"type": "string"})}),
		"seLinuxOptions": recordSchema(nil, textSchemas("user", "role", "type", "level")), "seccompProfile": recordSchema([]string{"type"}, textSchemas("type", "localhostProfile")),
		"windowsOptions": recordSchema(nil, textSchemas("gmsaCredentialSpec", "gmsaCredentialSpecName", "runAsUserName")), "readOnlyRootFilesystem": flagSchema(), "allowPrivilegeEscalation": flagSchema()}))
}

func keySchema() m {
	return recordSchema([]string{"key"}, m{"key": text(), "name": m{"type": "string", "default": ""}, "optional": flagSchema()})
}

func containerSchema() m {
	return recordSchema([]string{"name"}, withSchemas(textSchemas("name", "image", "imagePullPolicy", "workingDir", "terminationMessagePath", "terminationMessagePolicy", "restartPolicy"), m{
		"command": listSchema(m{"type": "string"}), "args": listSchema(m{"type": "string"}), "stdin": flagSchema(), "tty": flagSchema(), "securityContext": securitySchema(),
		"livenessProbe": probeSchema(), "readinessProbe": probeSchema(), "startupProbe": probeSchema(),
		"lifecycle": recordSchema(nil, m{"postStart": recordSchema(nil, handlerSchemas()), "preStop": recordSchema(nil, handlerSchemas())}),
		"resources": recordSchema(nil, m{"limits": amountsSchema(), "requests": amountsSchema(), "claims": listSchema(recordSchema([]string{"name"}, textSchemas("name", "request")), "name")}),
		"ports": listSchema(recordSchema([]string{"containerPort"}, m{"containerPort": numberSchema(), "hostPort": numberSchema(), "name": text(), "hostIP": text(),
			"protocol": m{"type": "string", "default": "TCP"}}), "containerPort", "protocol"),
		"env": listSchema(recordSchema([]string{"name"}, m{"name": text(), "value": text(), "valueFrom": recordSchema(nil, m{"configMapKeyRef": keySchema(), "secretKeyRef": keySchema(),
			"fieldRef":         recordSchema([]string{"fieldPath"}, textSchemas("apiVersion", "fieldPath")),
			"resourceFieldRef": recordSchema([]string{"resource"}, withSchemas(textSchemas("containerName", "resource"), m{"divisor": amountSchema(quantityPattern)}))})}), "name"),
		"envFrom":      listSchema(recordSchema(nil, m{"prefix": text(), "configMapRef": nameSchema(), "secretRef": nameSchema()})),
		"volumeMounts": listSchema(recordSchema([]string{"name", "mountPath"}, withSchemas(textSchemas("name", "mountPath", "subPath", "subPathExpr", "mountPropagation"), m{"readOnly": flagSchema()})), "mountPath"),
	}))
}

func nameSchema() m {
	return recordSchema(nil, m{"name": m{"type": "string", "default": ""}, "optional": flagSchema()})
}

func volumesSchema() m {
	items := func() m {
		return listSchema(recordSchema([]string{"key", "path"}, withSchemas(textSchemas("key", "path"), m{"mode": numberSchema()})))
	}
	kinds := m{"emptyDir": recordSchema(nil, m{"medium": text(), "sizeLimit": amountSchema(quantityPattern)}), "name": text(),
		"secret": recordSchema(nil, m{"secretName": text(), "items": items(), "defaultMode": numberSchema()}), "configMap": recordSchema(nil, m{"name": text(), "items": items(), "defaultMode": numberSchema()}),
		"projected": recordSchema(nil, m{"defaultMode": numberSchema(), "sources": listSchema(recordSchema(nil, m{"secret": recordSchema(nil, m{"name": text(), "items": items()}), "configMap": recordSchema(nil, m{"name": text(), "items": items()}),
			"serviceAccountToken": recordSchema([]string{"path"}, withSchemas(textSchemas("audience", "path"), m{"expirationSeconds": numberSchema()})), "clusterTrustBundle": recordSchema([]string{"path"}, withSchemas(textSchemas("name", "path", "signerName"), m{"labelSelector": selectorSchema()}))}))}),
		"ephemeral": recordSchema(nil, m{"volumeClaimTemplate": recordSchema([]string{"spec"}, m{"metadata": m{"type": "object"}, "spec": claimSchema()})})}
	for _, name := range []string{"nfs", "iscsi", "glusterfs", "rbd", "cephfs", "csi", "azureDisk", "azureFile", "flocker", "fc", "gcePersistentDisk", "portworxVolume", "quobyte", "scaleIO", "storageos", "vsphereVolume"} {
		kinds[name] = recordSchema([]string{"path"}, withSchemas(textSchemas("path", "server", "fsType", "volumeName", "user", "pool"), m{"readOnly": flagSchema(), "secretRef": nameSchema()}))
	}
	return listSchema(recordSchema([]string{"name"}, kinds), "name")
}

func claimSchema() m {
	return recordSchema(nil, withSchemas(textSchemas("storageClassName", "volumeMode", "volumeName"), m{"accessModes": listSchema(m{"type": "string"}), "selector": selectorSchema(),
		"resources":  recordSchema(nil, m{"limits": amountsSchema(), "requests": amountsSchema()}),
		"dataSource": recordSchema([]string{"kind", "name"}, textSchemas("apiGroup", "kind", "name")), "dataSourceRef": recordSchema([]string{"kind", "name"}, textSchemas("apiGroup", "kind", "name", "namespace"))}))
}

// templateSchema is that of the solvers of an issuer: what they may say of their pods.
func templateSchema() m {
	return recordSchema(nil, m{"metadata": recordSchema(nil, m{"labels": m{"type": "object", "additionalProperties": m{"type": "string"}}}), "spec": recordSchema(nil, m{
		"affinity": affinitySchema(), "nodeSelector": m{"type": "object", "additionalProperties": m{"type": "string"}}, "priorityClassName": text(), "serviceAccountName": text(),
		"imagePullSecrets": listSchema(nameSchema(), "name"), "securityContext": securitySchema(), "tolerations": listSchema(recordSchema(nil, withSchemas(textSchemas("key", "operator", "effect", "value"), m{"tolerationSeconds": numberSchema()}))),
		"resources": recordSchema(nil, m{"limits": amountsSchema(), "requests": amountsSchema()})})})
}

// issuers are as an operator for certificates defines them: solvers of many kinds, each
// with the templates of pods, twice over.
func (d *definer) issuers(t testing.TB) *v1.CustomResourceDefinition {
	t.Helper()
	dns := m{}
	for _, name := range []string{"acmeDNS", "akamai", "azureDNS", "cloudDNS", "cloudflare", "digitalocean", "rfc2136", "route53", "webhook"} {
		dns[name] = recordSchema(nil, withSchemas(textSchemas("host", "region", "zone", "email"), m{"accountSecretRef": keySchema(), "tokenSecretRef": keySchema(), "config": m{"x-kubernetes-preserve-unknown-fields": true}}))
	}
	http := func() m {
		return recordSchema(nil, withSchemas(textSchemas("ingressClassName", "class", "name", "serviceType"), m{"podTemplate": templateSchema(), "ingressTemplate": recordSchema(nil, m{"metadata": m{"type": "object"}})}))
	}
	solver := recordSchema(nil, m{"selector": recordSchema(nil, m{"dnsNames": listSchema(m{"type": "string"}), "dnsZones": listSchema(m{"type": "string"}), "matchLabels": m{"type": "object", "additionalProperties": m{"type": "string"}}}),
		"dns01": recordSchema(nil, dns), "http01": recordSchema(nil, m{"ingress": http(), "gatewayHTTPRoute": http()})})
	vault := recordSchema([]string{"server", "path", "auth"}, withSchemas(textSchemas("server", "path", "namespace", "serverName"), m{"caBundle": m{"type": "string", "format": "byte"}, "auth": recordSchema(nil, m{
		"appRole": recordSchema(nil, m{"path": text(), "roleId": text(), "secretRef": keySchema()}), "kubernetes": recordSchema(nil, m{"role": text(), "secretRef": keySchema(), "serviceAccountRef": reference()}), "tokenSecretRef": keySchema()})}))
	spec := m{"type": "object", "description": words(6), "minProperties": 1, "maxProperties": 1, "properties": m{"ca": recordSchema([]string{"secretName"}, m{"secretName": text()}), "selfSigned": recordSchema(nil, m{"crlDistributionPoints": listSchema(m{"type": "string"})}),
		"vault": vault, "acme": recordSchema([]string{"server", "privateKeySecretRef"}, m{"server": text(), "email": m{"type": "string", "maxLength": 320}, "privateKeySecretRef": keySchema(), "solvers": listSchema(solver), "profile": text()})}}
	c := d.definition("certs.example.com", served(t, "v1", schemaOf(t, spec, conditionsOf())))
	c.Spec.Names = v1.CustomResourceDefinitionNames{Plural: "issuers", Singular: "issuer", Kind: "Issuer"}
	c.Name = "issuers.certs.example.com"
	c.Spec.Versions[0].Subresources = &v1.CustomResourceSubresources{Status: &v1.CustomResourceSubresourceStatus{}}
	return c
}

// monitors are as an operator for a monitoring system defines them: a whole pod, with
// whole containers, and remote ends with all ways to prove who one is.
func (d *definer) monitors(t testing.TB) *v1.CustomResourceDefinition {
	t.Helper()
	remote := func() m {
		tls := recordSchema(nil, m{"ca": recordSchema(nil, m{"secret": keySchema(), "configMap": keySchema()}), "cert": recordSchema(nil, m{"secret": keySchema(), "configMap": keySchema()}), "keySecret": keySchema(), "insecureSkipVerify": flagSchema(), "serverName": text()})
		return listSchema(recordSchema([]string{"url"}, withSchemas(textSchemas("url", "name", "remoteTimeout"), m{"tlsConfig": tls, "basicAuth": recordSchema(nil, m{"username": keySchema(), "password": keySchema()}),
			"oauth2":              recordSchema(nil, m{"clientId": recordSchema(nil, m{"secret": keySchema(), "configMap": keySchema()}), "clientSecret": keySchema(), "scopes": listSchema(m{"type": "string"}), "tlsConfig": tls}),
			"writeRelabelConfigs": listSchema(recordSchema(nil, withSchemas(textSchemas("action", "regex", "replacement", "separator", "targetLabel"), m{"modulus": numberSchema(), "sourceLabels": listSchema(m{"type": "string"})})))})))
	}
	spec := recordSchema(nil, m{"replicas": m{"type": "integer", "format": "int32", "minimum": 0}, "shards": numberSchema(), "version": text(), "affinity": affinitySchema(), "containers": listSchema(containerSchema(), "name"), "initContainers": listSchema(containerSchema(), "name"),
		"volumes": volumesSchema(), "remoteWrite": remote(), "remoteRead": remote(), "alerting": recordSchema(nil, m{"alertmanagers": remote()}), "securityContext": securitySchema(),
		"podMonitorSelector": selectorSchema(), "serviceMonitorSelector": selectorSchema(), "ruleSelector": selectorSchema(), "probeSelector": selectorSchema(), "storage": recordSchema(nil, m{"emptyDir": m{"type": "object"}, "volumeClaimTemplate": recordSchema(nil, m{"spec": claimSchema()})}),
		"retention": m{"type": "string", "pattern": `^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$`, "default": "24h"}, "podMetadata": templateSchema()})
	c := d.definition("monitors.example.com", served(t, "v1", schemaOf(t, spec, conditionsOf())))
	c.Spec.Names = v1.CustomResourceDefinitionNames{Plural: "monitors", Singular: "monitor", Kind: "Monitor", ShortNames: []string{"mon"}}
	c.Name = "monitors.monitors.example.com"
	c.Spec.Versions[0].Subresources = &v1.CustomResourceSubresources{Status: &v1.CustomResourceSubresourceStatus{},
		Scale: &v1.CustomResourceSubresourceScale{SpecReplicasPath: ".spec.replicas", StatusReplicasPath: ".status.replicas"}}
	return c
}

// usesIssuersAndMonitors writes what lies deep in them, and reads what kubectl says of it.
func (d *definer) usesIssuersAndMonitors(t *testing.T) {
	t.Helper()
	const issuer = `
apiVersion: certs.example.com/v1
kind: Issuer
metadata: {name: letters}
spec:
  acme:
    server: https://acme.example.com/directory
    privateKeySecretRef: {key: a}
    solvers:
    - dns01: {webhook: {host: dns, config: {anything: [1, {at: all}]}}}
    - http01:
        ingress:
          podTemplate:
            spec:
              resources: {limits: {cpu: %s, memory: 64Mi}}
              affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: {matchLabels: {app: a}}}]}}
              tolerations: [{key: a, tolerationSeconds: 7}]
`
	const deep = "spec.acme.solvers[1].http01.ingress.podTemplate.spec"
	contains(t, d.refused(t, "desk", fmt.Sprintf(issuer, "a lot")), deep+`.resources.limits.cpu: Invalid value: "a lot": `+deep+".resources.limits.cpu in body should match")
	contains(t, d.refused(t, "desk", strings.Replace(fmt.Sprintf(issuer, "1"), "topologyKey", "topology", 1)), `unknown field "`+deep+".affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topology")
	for _, cpu := range []string{"1", "250m"} {
		d.apply(t, "desk", fmt.Sprintf(issuer, cpu))
		at := "{" + strings.Replace(deep, "spec", ".spec", 1) + ".resources.limits.cpu} {.spec.acme.solvers[0].dns01.webhook.config.anything[1].at} {.spec.acme.privateKeySecretRef.name}"
		if got := d.field(t, "desk", "issuer/letters", at); got != cpu+" all " {
			t.Errorf("the issuer has %q", got)
		}
	}
	contains(t, d.sh(t, "kubectl explain issuer.spec.acme.solvers.http01.gatewayHTTPRoute.podTemplate.spec.affinity.nodeAffinity"), "FIELDS:", "requiredDuringSchedulingIgnoredDuringExecution\t<Object>")

	const monitor = "apiVersion: monitors.example.com/v1\nkind: Monitor\nmetadata: {name: all}\nspec:\n  replicas: 2\n  containers:\n  - {name: a, ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}], env: [{name: A, value: b}], readinessProbe: {httpGet: {port: http}}}\n"
	contains(t, d.refused(t, "desk", monitor+"  - {name: a}\n"), `spec.containers[1]: Duplicate value: {"name":"a"}`)
	d.sh(t, "kubectl apply -n desk --server-side --field-manager one -f - <<<'"+monitor+"'")
	if got := d.field(t, "desk", "mon/all", "{.spec.retention} {.spec.containers[0].ports[*].protocol} {.spec.containers[0].readinessProbe.httpGet.port}"); got != "24h TCP UDP http" {
		t.Errorf("the monitor has %q", got)
	}
	// Who applies fields of an element has those alone.
	const other = `{"apiVersion":"monitors.example.com/v1","kind":"Monitor","metadata":{"name":"all"},"spec":{"containers":[{"name":"a","image":"b"},{"name":"c"}]}}`
	d.sh(t, "kubectl apply -n desk --server-side --field-manager other -f - <<<'"+other+"'")
	if got := d.field(t, "desk", "mon/all", "{.spec.containers[*].name} {.spec.containers[0].image} {.spec.containers[0].env[0].value}"); got != "a c b b" {
		t.Errorf("the monitor applied by two has %q", got)
	}
	d.sh(t, "kubectl scale -n desk mon all --replicas 3")
	d.prunes(t)
}

// prunes has kubectl remove what was applied once and is no longer: by kinds that it is
// told, and by a set that knows its members.
func (d *definer) prunes(t *testing.T) {
	t.Helper()
	const cert = `{"apiVersion":"certs.example.com/v1","kind":"Certificate","metadata":{"name":"%s","labels":{"of":"pruning"}},"spec":{"secretName":"a","commonName":"a","issuerRef":{"name":"a"}}}`
	const settings = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","labels":{"of":"pruning"}}}`
	manifests := func(all ...string) string { return " <<<'" + strings.Join(all, "\n---\n") + "'" }
	one, two := fmt.Sprintf(cert, "one"), fmt.Sprintf(cert, "two")
	byKinds := "kubectl apply -n desk --prune -l of=pruning --prune-allowlist=certs.example.com/v1/Certificate --prune-allowlist=core/v1/ConfigMap -f -"
	d.sh(t, byKinds+manifests(one, two, settings))
	contains(t, d.sh(t, byKinds+manifests(two)), "certificate.certs.example.com/two unchanged", "certificate.certs.example.com/one pruned", "configmap/settings pruned")

	bySet := "KUBECTL_APPLYSET=true kubectl apply -n desk --prune --applyset=secrets/parts -f -"
	d.sh(t, "kubectl delete -n desk cert two && "+bySet+manifests(one, two, settings))
	contains(t, d.field(t, "desk", "secret/parts", "{.metadata.annotations}"), `"applyset.kubernetes.io/contains-group-kinds":"Certificate.certs.example.com,ConfigMap"`)
	contains(t, d.sh(t, bySet+manifests(one)), "certificate.certs.example.com/one", "certificate.certs.example.com/two pruned", "configmap/settings pruned")
	if got := d.field(t, "desk", "secret/parts", `{.metadata.annotations.applyset\.kubernetes\.io/contains-group-kinds}`); got != "Certificate.certs.example.com" {
		t.Errorf("the set has %s", got)
	}
	d.sh(t, "kubectl delete -n desk cert one")
}
