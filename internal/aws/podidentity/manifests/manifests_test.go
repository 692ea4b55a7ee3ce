package manifests

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/clock"
)

func config() Config {
	return Config{Namespace: "eks", Service: "hook", Secret: "hook-tls", Image: "example.com/laterna:1", FailurePolicy: "Ignore", Clock: clock.Real()}
}

// objects are the manifests by kind, each read strictly.
func objects(t *testing.T, c Config) map[string]any {
	t.Helper()
	raw, err := Write(c)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	for _, document := range strings.Split(string(raw), "---\n")[1:] {
		var head metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatal(err)
		}
		into, ok := map[string]any{
			"Namespace": &corev1.Namespace{}, "ServiceAccount": &corev1.ServiceAccount{}, "Secret": &corev1.Secret{}, "Service": &corev1.Service{},
			"ClusterRole": &rbacv1.ClusterRole{}, "ClusterRoleBinding": &rbacv1.ClusterRoleBinding{}, "Role": &rbacv1.Role{}, "RoleBinding": &rbacv1.RoleBinding{},
			"Deployment": &appsv1.Deployment{}, "MutatingWebhookConfiguration": &admissionregistrationv1.MutatingWebhookConfiguration{},
		}[head.Kind]
		if !ok {
			t.Fatalf("a %s", head.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
			t.Fatalf("%s: %v", head.Kind, err)
		}
		out[head.Kind] = into
	}
	return out
}

func hookOf(all map[string]any) admissionregistrationv1.MutatingWebhook {
	return all["MutatingWebhookConfiguration"].(*admissionregistrationv1.MutatingWebhookConfiguration).Webhooks[0]
}

func TestManifestsFitTogether(t *testing.T) {
	all := objects(t, config())
	if len(all) != 8 {
		t.Errorf("%d kinds of objects", len(all))
	}
	hook, secret := hookOf(all), all["Secret"].(*corev1.Secret)
	pair, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(hook.ClientConfig.CABundle) {
		t.Fatal("no authority in the configuration")
	}
	reached := hook.ClientConfig.Service
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: reached.Name + "." + reached.Namespace + ".svc", CurrentTime: time.Now().Add(300 * 24 * time.Hour)}); err != nil {
		t.Errorf("the API server does not take the certificate: %v", err)
	}
	template := all["Deployment"].(*appsv1.Deployment).Spec.Template
	service := all["Service"].(*corev1.Service)
	if service.Name != reached.Name || service.Spec.Selector["app"] != template.Labels["app"] || service.Spec.Ports[0].TargetPort.IntVal != template.Spec.Containers[0].Ports[0].ContainerPort {
		t.Errorf("the service %+v does not lead to %+v", service.Spec, template)
	}
	if template.Spec.Volumes[0].Secret.SecretName != secret.Name {
		t.Errorf("mounted is %+v", template.Spec.Volumes)
	}
	if got := all["ClusterRole"].(*rbacv1.ClusterRole).Rules; len(got) != 1 || got[0].Resources[0] != "serviceaccounts" || len(got[0].Verbs) != 3 {
		t.Errorf("rights %+v", got)
	}
	if hook.Rules[0].Resources[0] != "pods" || len(hook.Rules[0].Operations) != 1 || *reached.Path != "/mutate" {
		t.Errorf("configured as %+v", hook)
	}
}

func TestManifestsOfWhatIsThereAlready(t *testing.T) {
	c := config()
	c.CA, c.ConfigMap = []byte("PEM"), true
	all := objects(t, c)
	if all["Secret"] != nil || all["Role"] == nil || all["RoleBinding"] == nil {
		t.Errorf("objects %v", all)
	}
	c.URL, c.Image = "https://hook.example.com/mutate", ""
	all = objects(t, c)
	if hook := hookOf(all); len(all) != 1 || *hook.ClientConfig.URL != c.URL || string(hook.ClientConfig.CABundle) != "PEM" {
		t.Errorf("objects %v", all)
	}
}

func TestManifestsThatCannotWorkAreNotWritten(t *testing.T) {
	for want, change := range map[string]func(*Config){
		`the failure policy is Ignore or Fail, not "Maybe"`:                                                func(c *Config) { c.FailurePolicy = "Maybe" },
		`"http://x" is not an https URL`:                                                                   func(c *Config) { c.URL = "http://x" },
		"the certificate authority of the URL's certificate is needed":                                     func(c *Config) { c.URL = "https://x" },
		"an image that has the program as /laterna is needed, or the URL of a webhook that runs elsewhere": func(c *Config) { c.Image = "" },
	} {
		c := config()
		change(&c)
		if _, err := Write(c); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
