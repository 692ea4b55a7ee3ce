package compat

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// words is a description as generated ones are: long, and of little use.
func words(n int) string {
	return strings.TrimSpace(strings.Repeat("More information about what this field of the specification means, which values it takes and who reads it. ", n))
}

// schemaOf writes a schema from Go values.
func schemaOf(t testing.TB, spec, status map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"type": "object", "description": words(2), "required": []string{"spec"}, "properties": map[string]any{
		"spec": spec, "status": status,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

type m = map[string]any

func text() m { return m{"type": "string", "description": words(1)} }

func reference() m {
	return m{"type": "object", "description": words(1), "required": []string{"name"}, "properties": m{
		"name": m{"type": "string", "minLength": 1, "maxLength": 253, "pattern": `^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`, "description": words(1)},
		"key":  text(), "namespace": m{"type": "string", "maxLength": 63, "description": words(1)},
	}}
}

// conditions are as every operator has them.
func conditionsOf() m {
	return m{"type": "object", "properties": m{"conditions": m{"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": []string{"type"}, "items": m{
		"type": "object", "required": []string{"type", "status"}, "properties": m{
			"type": text(), "status": m{"type": "string", "enum": []string{"True", "False", "Unknown"}}, "reason": text(), "message": text(), "lastTransitionTime": m{"type": "string", "format": "date-time"}}}}}}
}

// certificates are as an operator for certificates defines them.
func (d *definer) certificates(t testing.TB) *v1.CustomResourceDefinition {
	t.Helper()
	spec := m{"type": "object", "description": words(3), "required": []string{"secretName", "issuerRef"}, "properties": m{
		"secretName": text(), "commonName": text(), "dnsNames": m{"type": "array", "items": m{"type": "string"}}, "issuerRef": reference(),
		"duration": m{"type": "string", "default": "2160h"}, "renewBefore": text(), "isCA": m{"type": "boolean"}, "revisionHistoryLimit": m{"type": "integer", "format": "int32", "minimum": 1},
		"usages": m{"type": "array", "items": m{"type": "string", "enum": []string{"digital signature", "key encipherment", "server auth", "client auth"}}},
		"privateKey": m{"type": "object", "properties": m{"algorithm": m{"type": "string", "enum": []string{"RSA", "ECDSA", "Ed25519"}, "default": "RSA"}, "size": m{"type": "integer"},
			"rotationPolicy": m{"type": "string", "enum": []string{"Never", "Always"}}}, "default": m{}},
		"secretTemplate": m{"type": "object", "properties": m{"annotations": m{"type": "object", "additionalProperties": m{"type": "string"}}, "labels": m{"type": "object", "additionalProperties": m{"type": "string"}}}},
	}, "x-kubernetes-validations": []m{{"rule": "has(self.commonName) || (has(self.dnsNames) && self.dnsNames.size() > 0)", "message": "at least one of commonName and dnsNames must be set"}}}
	c := d.definition("certs.example.com", served(t, "v1", schemaOf(t, spec, conditionsOf())))
	v := &c.Spec.Versions[0]
	v.Subresources = &v1.CustomResourceSubresources{Status: &v1.CustomResourceSubresourceStatus{}}
	v.AdditionalPrinterColumns = []v1.CustomResourceColumnDefinition{
		{Name: "Ready", Type: "string", JSONPath: `.status.conditions[?(@.type=="Ready")].status`}, {Name: "Secret", Type: "string", JSONPath: ".spec.secretName"},
		{Name: "Issuer", Type: "string", JSONPath: ".spec.issuerRef.name", Priority: 1}, {Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"},
	}
	c.Spec.Names = v1.CustomResourceDefinitionNames{Plural: "certificates", Singular: "certificate", Kind: "Certificate", ShortNames: []string{"cert", "certs"}, Categories: []string{"certs"}}
	c.Name = "certificates.certs.example.com"
	return c
}

// stores are as an operator for secrets of others defines them: forty providers, of which
// one is chosen, in three versions that make a definition too large for an annotation.
func (d *definer) stores(t testing.TB) *v1.CustomResourceDefinition {
	t.Helper()
	providers := m{}
	for i := range 40 {
		auth := m{}
		for _, way := range []string{"secretRef", "jwt", "certificate", "workloadIdentity"} {
			auth[way] = m{"type": "object", "description": words(2), "properties": m{"accessKey": reference(), "secretKey": reference(), "sessionToken": reference()}}
		}
		providers[fmt.Sprintf("provider%d", i)] = m{"type": "object", "description": words(3), "required": []string{"server"}, "properties": m{
			"server": text(), "path": text(), "version": m{"type": "string", "enum": []string{"v1", "v2"}, "default": "v2"}, "caBundle": m{"type": "string", "format": "byte"}, "auth": m{"type": "object", "properties": auth, "maxProperties": 1}}}
	}
	spec := m{"type": "object", "required": []string{"provider"}, "properties": m{"controller": text(), "refreshInterval": m{"type": "integer", "default": 3600},
		"provider": m{"type": "object", "minProperties": 1, "maxProperties": 1, "properties": providers}}}
	versions := []v1.CustomResourceDefinitionVersion{}
	for _, v := range []string{"v1", "v1beta1", "v1alpha1"} {
		versions = append(versions, served(t, v, schemaOf(t, spec, conditionsOf())))
	}
	c := d.definition("stores.example.com", versions...)
	c.Spec.Scope = v1.ClusterScoped
	c.Spec.Versions[2].Served = false
	c.Spec.Names = v1.CustomResourceDefinitionNames{Plural: "secretstores", Singular: "secretstore", Kind: "SecretStore", ShortNames: []string{"ss"}}
	c.Name = "secretstores.stores.example.com"
	return c
}

// applyDefinition has kubectl apply a definition at the server, and awaits it.
func (d *definer) applyDefinition(t *testing.T, c *v1.CustomResourceDefinition, flags string) string {
	t.Helper()
	c.TypeMeta = metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := d.command(t, "bash", "-c", "kubectl apply "+flags+" -f -")
	cmd.Stdin = strings.NewReader(string(raw))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out)
	}
	d.sh(t, "kubectl wait --for=condition=Established --timeout=20s crd/"+c.Name)
	return ""
}

// TestDefinitionsOfOperators installs what operators install, uses it, kills the server,
// and removes all.
func TestDefinitionsOfOperators(t *testing.T) {
	t.Parallel()
	d := newDefiner(t)
	if said := d.applyDefinition(t, d.monitors(t), ""); !strings.Contains(said, "metadata.annotations: Too long: may not be more than 262144 bytes") {
		t.Errorf("a definition that does not fit into an annotation: %s", said)
	}
	for _, c := range []*v1.CustomResourceDefinition{d.certificates(t), d.issuers(t), d.monitors(t), d.routes(t), d.stores(t)} {
		if said := d.applyDefinition(t, c, "--server-side"); said != "" {
			t.Fatalf("%s: %s", c.Name, said)
		}
	}
	d.usesCertificates(t)
	d.usesRoutesAndStores(t)
	d.usesIssuersAndMonitors(t)
	d.rolesReachCustomResources(t)

	d.Kill()
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	// What is ready serves what was defined: the first answer counts.
	if out := d.sh(t, "kubectl get -n desk certs,webroutes && kubectl get ss -o name"); !strings.Contains(out, "certificate.certs.example.com/shop") || !strings.Contains(out, "secretstore.stores.example.com/one") {
		t.Errorf("after a kill\n%s", out)
	}
	d.collectsCustomResources(t)
	d.deletesDefinitions(t)
}

func (d *definer) usesCertificates(t *testing.T) {
	t.Helper()
	const cert = "apiVersion: certs.example.com/v1\nkind: Certificate\nmetadata: {name: shop}\nspec:\n  secretName: shop-tls\n  issuerRef: {name: letters}\n"
	contains(t, d.refused(t, "desk", cert), "spec: Invalid value: at least one of commonName and dnsNames must be set")
	contains(t, d.refused(t, "desk", cert+"  commonName: a\n  isCA: 7\n"), `spec.isCA: Invalid value: "integer": spec.isCA in body must be of type boolean: "integer"`)
	contains(t, d.refused(t, "desk", cert+"  commonName: a\n  colour: red\n"), `unknown field "spec.colour"`)
	d.apply(t, "desk", cert+"  dnsNames: [shop.example.com]\n")
	if got := d.sh(t, "kubectl get -n desk cert shop -o jsonpath='{.spec.duration} {.spec.privateKey.algorithm}'"); got != "2160h RSA" {
		t.Errorf("defaults are %s", got)
	}
	d.sh(t, `kubectl patch -n desk cert shop --subresource status --type merge -p '{"status":{"conditions":[{"type":"Ready","status":"True","reason":"Issued"}]}}'`)
	d.sh(t, "kubectl wait -n desk --for condition=Ready --timeout=5s cert/shop")
	if out := d.sh(t, "kubectl get -n desk certs -o wide"); !strings.Contains(strings.Join(strings.Fields(out), " "), "NAME READY SECRET ISSUER AGE shop True shop-tls letters") {
		t.Errorf("the table is\n%s", out)
	}
	d.sh(t, `KUBE_EDITOR='sed -i s/shop-tls/other-tls/' kubectl edit -n desk cert shop`)
	if got := d.sh(t, "kubectl get -n desk cert shop -o jsonpath='{.spec.secretName} {.metadata.generation} {.status.conditions[0].reason}'"); got != "other-tls 2 Issued" {
		t.Errorf("edited to %s", got)
	}
}

func (d *definer) usesRoutesAndStores(t *testing.T) {
	t.Helper()
	const route = "apiVersion: gateways.example.com/v1\nkind: WebRoute\nmetadata: {name: shop}\nspec:\n  rules:\n  - name: a\n    backendRefs: [{name: web, port: 80}]\n"
	contains(t, d.refused(t, "desk", route+"  - name: a\n"), "spec.rules: Invalid value: Rule name must be unique within the route")
	contains(t, d.refused(t, "desk", route+"  - matches: [{path: {value: a}}]\n"), "spec.rules[1].matches[0].path: Invalid value: value must be an absolute path")
	contains(t, d.refused(t, "desk", route+"    filters: [{type: RequestRedirect}]\n"), "filter.requestRedirect must be specified for RequestRedirect")
	d.apply(t, "desk", route)
	out := d.sh(t, "kubectl get -n desk webroutes.v1beta1.gateways.example.com shop -o jsonpath='{.apiVersion} {.spec.rules[0].matches[0].path.value} {.spec.rules[0].backendRefs[0].weight}'")
	if !strings.Contains(out, "gateways.example.com/v1beta1 / 1") || !strings.Contains(out, "Warning: gateways.example.com/v1beta1 WebRoute is deprecated") {
		t.Errorf("in the older version: %s", out)
	}
	const store = "apiVersion: stores.example.com/v1beta1\nkind: SecretStore\nmetadata: {name: one}\nspec:\n  provider:\n    provider7: {server: https://vault.example.com}\n"
	contains(t, d.refused(t, "desk", store+"    provider8: {server: a}\n"), "spec.provider: Too many: 2: must have at most 1 item")
	d.apply(t, "desk", store)
	contains(t, d.fails(t, "kubectl get secretstores.v1alpha1.stores.example.com"), `the server doesn't have a resource type`)
	contains(t, d.sh(t, "kubectl explain secretstore.spec.provider.provider39.auth.jwt.accessKey"), "name\t<string> -required-")
}

// rolesReachCustomResources lets who may edit a namespace edit custom resources once a
// role says so that is aggregated, as operators bring it.
func (d *definer) rolesReachCustomResources(t *testing.T) {
	t.Helper()
	d.sh(t, "kubectl create rolebinding alice -n desk --clusterrole=edit --user=alice")
	d.fails(t, "kubectl auth can-i create certificates.certs.example.com -n desk --as alice")
	d.sh(t, "kubectl create clusterrole certs-edit --verb=get,list,watch,create,update,patch,delete --resource=certificates.certs.example.com && kubectl label clusterrole certs-edit rbac.authorization.k8s.io/aggregate-to-edit=true")
	eventually(t, 10*time.Second, func() error {
		return d.command(t, "kubectl", "auth", "can-i", "create", "certificates.certs.example.com", "-n", "desk", "--as", "alice").Run()
	})
	d.sh(t, "kubectl get certs -n desk --as alice")
	d.fails(t, "kubectl get crd --as alice")
	d.fails(t, "kubectl get webroutes -n desk --as alice")
}

// collectsCustomResources has objects collected whose owner is a custom resource, and
// custom resources deleted with their namespace.
func (d *definer) collectsCustomResources(t *testing.T) {
	t.Helper()
	uid := d.sh(t, "kubectl get -n desk cert shop -o jsonpath='{.metadata.uid}'")
	owned := fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"certs.example.com/v1","kind":"Certificate","name":"shop","uid":%q}]}}`, uid)
	d.sh(t, "kubectl create configmap -n desk owned")
	d.sh(t, "kubectl patch -n desk configmap owned --type merge -p '"+owned+"' && kubectl patch -n desk webroute shop --type merge -p '"+owned+"'")
	d.sh(t, "kubectl delete -n desk cert shop")
	eventually(t, 20*time.Second, func() error {
		out, err := d.command(t, "kubectl", "get", "-n", "desk", "configmap/owned", "webroute/shop", "--ignore-not-found", "-o", "name").Output()
		if err == nil && len(out) > 0 {
			err = fmt.Errorf("there are %s", out)
		}
		return err
	})
	const held = "apiVersion: certs.example.com/v1\nkind: Certificate\nmetadata: {name: held, finalizers: [certs.example.com/hold]}\nspec: {secretName: a, commonName: a, issuerRef: {name: a}}\n"
	d.sh(t, "kubectl create namespace leaving")
	d.apply(t, "leaving", held)
	d.sh(t, "kubectl delete namespace leaving --wait=false")
	eventually(t, 20*time.Second, func() error {
		out := d.sh(t, "kubectl get namespace leaving -o jsonpath='{.status.conditions[*].message}'")
		if !strings.Contains(out, "certificates.certs.example.com has 1 resource instances") {
			return fmt.Errorf("the namespace says %s", out)
		}
		return nil
	})
	d.sh(t, `kubectl patch -n leaving cert held --type merge -p '{"metadata":{"finalizers":null}}'`)
	d.sh(t, "kubectl wait --for=delete --timeout=30s namespace/leaving")
}

// deletesDefinitions deletes definitions with their objects: they wait for finalizers.
func (d *definer) deletesDefinitions(t *testing.T) {
	t.Helper()
	const held = "apiVersion: certs.example.com/v1\nkind: Certificate\nmetadata: {name: held, finalizers: [certs.example.com/hold]}\nspec: {secretName: a, commonName: a, issuerRef: {name: a}}\n"
	d.apply(t, "desk", held)
	d.sh(t, "kubectl delete crd certificates.certs.example.com secretstores.stores.example.com --wait=false")
	d.gone(t, "secretstores.stores.example.com")
	eventually(t, 20*time.Second, func() error {
		out := d.sh(t, "kubectl get crd certificates.certs.example.com -o jsonpath='{.status.conditions[?(@.type==\"Terminating\")].reason}' && kubectl get -n desk cert held -o jsonpath='{.metadata.deletionTimestamp}'")
		if !strings.HasPrefix(out, "InstanceDeletion") || len(out) < 40 {
			return fmt.Errorf("the definition says %s", out)
		}
		return nil
	})
	contains(t, d.refused(t, "desk", strings.Replace(held, "name: held", "name: late", 1)), "create not allowed while custom resource definition is terminating")
	c := d.certificates(t)
	if _, err := d.objectsOf(c, "v1").Patch(t.Context(), "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	d.gone(t, c.Name)
	// What is defined anew has nothing of the old.
	d.define(t, c)
	if list, err := d.objectsOf(c, "v1").List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) > 0 {
		t.Errorf("%v, %v", list, err)
	}
	contains(t, d.sh(t, "kubectl delete crd webroutes.gateways.example.com"), "deleted")
}
