// Package manifests writes the objects with which the pod identity webhook runs in a cluster:
// service account, rights, certificate, Deployment, Service and the configuration by which
// the API server asks it.
//
// The flags of the server are the caller's; what is served at which path is
// internal/aws/podidentity/webhook's.
package manifests

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"

	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/pki"
)

// Config says what is written. Every field is required unless it says otherwise.
type Config struct {
	// Namespace, Service and Secret are where the webhook runs, what leads to it, and what
	// has its certificate.
	Namespace, Service, Secret string
	// Image has the program as /laterna. It is not needed with URL.
	Image string
	// Args are the flags of the server but for those of certificate, port and namespace.
	// Optional.
	Args []string
	// ConfigMap lets the webhook read the ConfigMap with roles.
	ConfigMap bool
	// URL is where a webhook outside the cluster is reached: only the configuration is
	// written, and the certificate of CA is trusted. Optional.
	URL string
	// CA is the certificate authority, as PEM, of a certificate that somebody else puts into
	// Secret. Optional: without it, and without URL, both are made.
	CA []byte
	// FailurePolicy is Ignore or Fail.
	FailurePolicy string
	Clock         clock.Wall
}

// port is where the webhook listens in its pod: no right is needed for it.
const port = 8443

// name is that of the objects that are not named in Config.
const name = "pod-identity-webhook"

type object map[string]any

// Write returns the objects as YAML.
func Write(c Config) ([]byte, error) {
	if c.FailurePolicy != "Ignore" && c.FailurePolicy != "Fail" {
		return nil, fmt.Errorf("the failure policy is Ignore or Fail, not %q", c.FailurePolicy)
	}
	var all []object
	switch {
	case c.URL != "":
		if u, err := url.Parse(c.URL); err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("%q is not an https URL", c.URL)
		}
		if len(c.CA) == 0 {
			return nil, errors.New("the certificate authority of the URL's certificate is needed")
		}
	case c.Image == "":
		return nil, errors.New("an image that has the program as /laterna is needed, or the URL of a webhook that runs elsewhere")
	default:
		all = []object{c.namespace(), c.account()}
		all = append(all, c.rights()...)
		if len(c.CA) == 0 {
			secret, ca, err := c.certificate()
			if err != nil {
				return nil, err
			}
			c.CA = ca
			all = append(all, secret)
		}
		all = append(all, c.deployment(), c.service())
	}
	all = append(all, c.configuration())
	var out bytes.Buffer
	for _, o := range all {
		raw, err := yaml.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("writing manifests: %w", err)
		}
		out.WriteString("---\n")
		out.Write(raw)
	}
	return out.Bytes(), nil
}

func (c *Config) meta(name string) object {
	return object{"namespace": c.Namespace, "name": name, "labels": labels()}
}

func labels() object { return object{"app": name} }

func clusterMeta() object { return object{"name": name, "labels": labels()} }

func (c *Config) namespace() object {
	return object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": c.Namespace}}
}

func (c *Config) account() object {
	return object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": c.meta(name)}
}

// rights are the least: service accounts everywhere, and one ConfigMap.
func (c *Config) rights() []object {
	const group = "rbac.authorization.k8s.io"
	read := []string{"get", "list", "watch"}
	subjects := []object{{"kind": "ServiceAccount", "namespace": c.Namespace, "name": name}}
	out := []object{
		{"apiVersion": group + "/v1", "kind": "ClusterRole", "metadata": clusterMeta(),
			"rules": []object{{"apiGroups": []string{""}, "resources": []string{"serviceaccounts"}, "verbs": read}}},
		{"apiVersion": group + "/v1", "kind": "ClusterRoleBinding", "metadata": clusterMeta(),
			"roleRef": object{"apiGroup": group, "kind": "ClusterRole", "name": name}, "subjects": subjects},
	}
	if !c.ConfigMap {
		return out
	}
	return append(out,
		object{"apiVersion": group + "/v1", "kind": "Role", "metadata": c.meta(name), "rules": []object{
			{"apiGroups": []string{""}, "resources": []string{"configmaps"}, "resourceNames": []string{podidentity.ConfigMapName}, "verbs": read}}},
		object{"apiVersion": group + "/v1", "kind": "RoleBinding", "metadata": c.meta(name),
			"roleRef": object{"apiGroup": group, "kind": "Role", "name": name}, "subjects": subjects},
	)
}

// certificate makes a certificate for the service and an authority that signs nothing else:
// its key is thrown away.
func (c *Config) certificate() (secret object, ca []byte, err error) {
	dir, err := os.MkdirTemp("", "laterna-webhook-")
	if err != nil {
		return nil, nil, fmt.Errorf("making certificate: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	authority, err := pki.OpenAuthority(dir, c.Clock)
	if err != nil {
		return nil, nil, fmt.Errorf("making certificate: %w", err)
	}
	host := c.Service + "." + c.Namespace + ".svc"
	pair, err := authority.Pair(pki.Leaf{Name: "webhook", Hosts: []string{host, host + ".cluster.local", c.Service + "." + c.Namespace, c.Service}, Server: true})
	if err != nil {
		return nil, nil, fmt.Errorf("making certificate: %w", err)
	}
	cert, key, err := pair.PEM()
	if err != nil {
		return nil, nil, fmt.Errorf("making certificate: %w", err)
	}
	return object{"apiVersion": "v1", "kind": "Secret", "metadata": c.meta(c.Secret), "type": "kubernetes.io/tls", "data": object{
		"tls.crt": base64.StdEncoding.EncodeToString(cert), "tls.key": base64.StdEncoding.EncodeToString(key),
	}}, authority.PEM(), nil
}

func (c *Config) deployment() object {
	const certificates = "/etc/webhook/certs"
	args := append([]string{
		"webhook", "--in-cluster=false", "--namespace=" + c.Namespace, fmt.Sprintf("--port=%d", port),
		"--tls-cert=" + certificates + "/tls.crt", "--tls-key=" + certificates + "/tls.key",
	}, c.Args...)
	container := object{
		"name": name, "image": c.Image, "command": append([]string{"/laterna"}, args...),
		"ports":          []object{{"name": "https", "containerPort": port}},
		"readinessProbe": object{"httpGet": object{"path": "/healthz", "port": "https", "scheme": "HTTPS"}},
		"resources":      object{"requests": object{"cpu": "10m", "memory": "64Mi"}, "limits": object{"memory": "256Mi"}},
		"securityContext": object{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": object{"drop": []string{"ALL"}},
		},
		"volumeMounts": []object{{"name": "certificate", "mountPath": certificates, "readOnly": true}},
	}
	return object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": c.meta(name), "spec": object{
		"replicas": 2,
		"selector": object{"matchLabels": labels()},
		"template": object{"metadata": object{"labels": labels()}, "spec": object{
			"serviceAccountName": name,
			"securityContext":    object{"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": object{"type": "RuntimeDefault"}},
			"containers":         []object{container},
			"volumes":            []object{{"name": "certificate", "secret": object{"secretName": c.Secret}}},
		}},
	}}
}

func (c *Config) service() object {
	return object{"apiVersion": "v1", "kind": "Service", "metadata": c.meta(c.Service), "spec": object{
		"selector": labels(), "ports": []object{{"port": 443, "targetPort": port}},
	}}
}

// configuration has the API server ask about pods that are created, but for those that say
// so, and for the webhook's own, which must come up without it.
func (c *Config) configuration() object {
	client := object{"caBundle": base64.StdEncoding.EncodeToString(c.CA)}
	if c.URL != "" {
		client["url"] = c.URL
	} else {
		client["service"] = object{"namespace": c.Namespace, "name": c.Service, "path": "/mutate"}
	}
	return object{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": clusterMeta(), "webhooks": []object{{
		"name":                    name + ".amazonaws.com",
		"admissionReviewVersions": []string{"v1", "v1beta1"},
		"clientConfig":            client,
		"failurePolicy":           c.FailurePolicy,
		"sideEffects":             "None",
		"reinvocationPolicy":      "IfNeeded",
		"objectSelector": object{"matchExpressions": []object{
			{"key": podidentity.SkipLabel, "operator": "DoesNotExist"},
			{"key": "app", "operator": "NotIn", "values": []string{name}},
		}},
		"rules": []object{{"operations": []string{"CREATE"}, "apiGroups": []string{""}, "apiVersions": []string{"v1"}, "resources": []string{"pods"}}},
	}}}
}
