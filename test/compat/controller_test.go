package compat

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// shops is a system without a node on which an operator runs: test/tools/controller, which
// is written on controller-runtime.
type shops struct {
	*system
	program, certs, kubeconfig string
	// webhooks is where managers are asked; it is one of those in turn, as a Service is.
	webhooks net.Listener
	at       atomic.Pointer[string]
}

// manager is a process of the operator.
type manager struct {
	cmd    *exec.Cmd
	listen string
	// leads is closed when it says that it leads.
	leads chan struct{}
}

// newShops starts a system and tells it of the operator's kind, rights and webhooks.
func newShops(t *testing.T) *shops {
	t.Helper()
	// Built while nothing waits for it yet.
	program := tool(t, "controller")
	o := &shops{system: started(t, "--node=false"), program: program, certs: t.TempDir()}
	var err error
	if o.webhooks, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.webhooks.Close() })
	go o.forward()

	authority := o.certificate(t)
	fill := strings.NewReplacer("$(URL)", "https://"+o.webhooks.Addr().String(), "$(CA)", base64.StdEncoding.EncodeToString([]byte(authority)))
	for _, file := range []string{"definition", "rights", "webhooks"} {
		raw, err := os.ReadFile("../tools/controller/config/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		o.apply(t, "shop-system", fill.Replace(string(raw)))
	}
	o.sh(t, "kubectl wait --for=condition=Established --timeout=20s crd/shops.shops.example.com && kubectl create namespace mall")
	o.kubeconfig = filepath.Join(o.certs, "kubeconfig")
	o.sh(t, fmt.Sprintf(`kubectl config view --raw --minify > %[1]s && kubectl --kubeconfig %[1]s config set-credentials controller --token "$(kubectl create token -n shop-system controller)" &&
		kubectl --kubeconfig %[1]s config set-context --current --user controller && chmod 600 %[1]s`, o.kubeconfig))
	return o
}

// certificate writes one for the webhooks, which signs itself, and returns it.
func (o *shops) certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := signedBy(t, key, &x509.Certificate{Subject: pkix.Name{CommonName: "shops"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{"tls.crt": cert, "tls.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))} {
		if err := os.WriteFile(filepath.Join(o.certs, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert
}

// forward connects whoever asks the webhooks with the manager that is to answer.
func (o *shops) forward() {
	for {
		from, err := o.webhooks.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			to, err := net.Dial("tcp", *o.at.Load())
			if err != nil {
				return
			}
			defer to.Close()
			go func() {
				defer to.Close()
				_, _ = io.Copy(to, from) // either end may have gone
			}()
			_, _ = io.Copy(from, to)
		}()
	}
}

// manager starts the operator, whose webhooks are asked from now on, and waits for those.
func (o *shops) manager(t *testing.T) *manager {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{listen: l.Addr().String(), leads: make(chan struct{})}
	l.Close()
	m.cmd = exec.Command(o.program, "--kubeconfig", o.kubeconfig, "--certs", o.certs, "--webhooks", m.listen, "--namespace", "shop-system")
	log := &strings.Builder{}
	m.cmd.Stderr = log
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if lines.Text() == "leading" {
				close(m.leads)
			}
		}
	}()
	t.Cleanup(func() {
		m.kill()
		if t.Failed() {
			t.Logf("log of the manager at %s:\n%s", m.listen, tail(log.String(), 30))
		}
	})
	eventually(t, 20*time.Second, func() error {
		c, err := net.Dial("tcp", m.listen)
		if err == nil {
			c.Close()
		}
		return err
	})
	o.at.Store(&m.listen)
	return m
}

// kill ends a manager at once. It may be called again.
func (m *manager) kill() {
	m.cmd.Process.Kill()
	m.cmd.Wait()
}

// awaitLead fails unless a manager leads soon.
func (m *manager) awaitLead(t *testing.T, within time.Duration) {
	t.Helper()
	select {
	case <-m.leads:
	case <-time.After(within):
		t.Fatalf("the manager at %s does not lead after %s", m.listen, within)
	}
}

// shop is a manifest; more are fields of its spec.
func shop(name, more string) string {
	return fmt.Sprintf("apiVersion: shops.example.com/v1\nkind: Shop\nmetadata: {name: %[1]s}\nspec: {menu: %[1]s%[2]s}\n", name, more)
}

// shows waits until a field of an object in the mall is as wanted.
func (o *shops) shows(t *testing.T, object, path, want string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		out, err := o.command(t, "kubectl", "get", "-n", "mall", object, "-o", "jsonpath="+path).CombinedOutput()
		if string(out) != want || err != nil {
			return fmt.Errorf("%s of %s is %s, want %s", path, object, out, want)
		}
		return nil
	})
}

// TestOperatorOnControllerRuntime runs two processes of an operator, has them keep what
// they own, and kills the one that leads, and the server.
func TestOperatorOnControllerRuntime(t *testing.T) {
	t.Parallel()
	o := newShops(t)
	first := o.manager(t)
	first.awaitLead(t, 20*time.Second)
	second := o.manager(t)
	contains(t, o.sh(t, "kubectl get lease -n shop-system shops -o yaml"), "leaseDurationSeconds: 8", "leaseTransitions: 0")

	o.keepsWhatItOwns(t)
	o.webhooksSpeak(t)
	o.versionsAreConverted(t)

	first.kill()
	o.sh(t, "kubectl patch -n mall shop bakery --type merge -p '{\"spec\":{\"replicas\":3}}'")
	second.awaitLead(t, 40*time.Second)
	contains(t, o.sh(t, "kubectl get events -n shop-system"), "became leader")
	o.shows(t, "deployment/bakery", "{.spec.replicas}", "3")
	o.shows(t, "shop/bakery", "{.status.observedGeneration}", o.field(t, "mall", "shop/bakery", "{.metadata.generation}"))

	// It goes on when the server was away.
	o.Kill()
	if err := o.Start(); err != nil {
		t.Fatal(err)
	}
	o.sh(t, "kubectl patch -n mall shop bakery --type merge -p '{\"spec\":{\"replicas\":2}}'")
	o.shows(t, "deployment/bakery", "{.spec.replicas}", "2")
	o.sh(t, "kubectl delete -n mall secret bakery")
	o.shows(t, "secret/bakery", "{.metadata.ownerReferences[0].kind}", "Shop")
	contains(t, o.fails(t, "kubectl patch -n mall shop bakery --type merge -p '{\"spec\":{\"greeting\":\"Hey!\"}}'"), "must not shout")
	o.closes(t)
}

// keepsWhatItOwns makes a shop and disturbs what it owns.
func (o *shops) keepsWhatItOwns(t *testing.T) {
	t.Helper()
	o.apply(t, "mall", shop("bakery", ""))
	o.shows(t, "shop/bakery", `{.spec.replicas} {.spec.greeting} {.status.conditions[?(@.type=="Ready")].message}`, "1 Welcome there is no ConfigMap bakery")
	o.sh(t, "kubectl create configmap -n mall bakery --from-literal=bread=2")
	o.sh(t, "kubectl wait -n mall --for=condition=Ready --timeout=20s shop/bakery")
	o.shows(t, "deployment/bakery", "{.spec.replicas} {.metadata.ownerReferences[0].kind} {.metadata.managedFields[0].manager} {.metadata.managedFields[0].operation}", "1 Shop shop-controller Apply")
	o.shows(t, "shop/bakery", `{.metadata.managedFields[?(@.subresource=="status")].manager} {.metadata.finalizers[0]}`, "shop-controller shops.example.com/books")
	eventually(t, 20*time.Second, func() error {
		if out := o.sh(t, "kubectl events -n mall --for shop/bakery"); !strings.Contains(out, "made the key of bakery") {
			return fmt.Errorf("its events are %s", out)
		}
		return nil
	})

	// What others change is put right, and what they add of theirs stays.
	o.sh(t, `kubectl patch -n mall deployment bakery --type merge -p '{"metadata":{"labels":{"theirs":"1"}},"spec":{"replicas":4,"template":{"spec":{"terminationGracePeriodSeconds":7}}}}'`)
	o.shows(t, "deployment/bakery", "{.spec.replicas} {.spec.template.spec.terminationGracePeriodSeconds} {.metadata.labels.theirs}", "1 7 1")
	key := o.field(t, "mall", "secret/bakery", "{.data.key}")
	o.sh(t, "kubectl delete -n mall secret bakery")
	eventually(t, 20*time.Second, func() error {
		out, err := o.command(t, "kubectl", "get", "-n", "mall", "secret/bakery", "-o", "jsonpath={.data.key}").Output()
		if err != nil || len(out) == 0 || string(out) == key {
			return fmt.Errorf("the key is %q, %v", out, err)
		}
		return nil
	})
	menu := o.field(t, "mall", "deployment/bakery", `{.spec.template.metadata.annotations}`)
	o.sh(t, "kubectl create configmap -n mall bakery --from-literal=bread=3 --dry-run=client -o yaml | kubectl replace -f -")
	eventually(t, 20*time.Second, func() error {
		if now := o.field(t, "mall", "deployment/bakery", `{.spec.template.metadata.annotations}`); now == menu {
			return fmt.Errorf("the menu is %s as before", now)
		}
		return nil
	})

	// Nobody runs pods here: the test says that one is ready.
	o.sh(t, `kubectl wait -n mall --for=jsonpath='{.status.updatedReplicas}'=1 --timeout=20s deployment/bakery`)
	o.sh(t, `pod=$(kubectl get pods -n mall --sort-by=.metadata.creationTimestamp -o name | tail -n 1) &&
		kubectl patch -n mall $pod --subresource status --type merge -p '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}'`)
	o.shows(t, "shop/bakery", "{.status.ready}", "1")
	contains(t, strings.Join(strings.Fields(o.sh(t, "kubectl get -n mall sp")), " "), "NAME READY MENU WHY bakery 1 bakery MenuRead")
}

// webhooksSpeak has webhooks warn, and refuse in words that people read.
func (o *shops) webhooksSpeak(t *testing.T) {
	t.Helper()
	const refusal = `admission webhook "judge.shops.example.com" denied the request: `
	// Of what is invalid kubectl shows the causes in words of its own.
	contains(t, o.refused(t, "mall", shop("loud", ", greeting: Hey!")), `The Shop "loud" is invalid: spec.greeting: Invalid value: "Hey!": must not shout`)
	contains(t, o.refused(t, "mall", strings.Replace(shop("bakery", ""), "name: bakery", "name: second", 1)), `spec.menu: Duplicate value: "bakery"`)
	contains(t, o.fails(t, `kubectl patch -n mall shop bakery --type merge -p '{"spec":{"menu":"other"}}'`), "spec.menu: Forbidden: a shop keeps its menu")
	contains(t, o.fails(t, "kubectl scale -n mall shop bakery --replicas 6"), "a shop has at most five")
	contains(t, o.sh(t, `kubectl patch -n mall shop bakery --type merge -p '{"spec":{"replicas":5}}'`), "Warning: more than three of a shop are a chain", "patched")
	contains(t, o.sh(t, "kubectl scale -n mall shop bakery --replicas 4"), "scaled")
	o.shows(t, "deployment/bakery", "{.spec.replicas}", "4")
	o.sh(t, "kubectl annotate -n mall shop bakery shops.example.com/keep=yes")
	contains(t, o.fails(t, "kubectl delete -n mall shop bakery"), refusal+`shops.shops.example.com "bakery" is forbidden`, "it is to be kept")
	o.sh(t, "kubectl annotate -n mall shop bakery shops.example.com/keep-")
}

// versionsAreConverted writes and reads the older version.
func (o *shops) versionsAreConverted(t *testing.T) {
	t.Helper()
	const old = "apiVersion: shops.example.com/v1beta1\nkind: Shop\nmetadata: {name: kiosk}\nspec: {count: %q, menuRef: {name: kiosk}}\n"
	contains(t, o.refused(t, "mall", fmt.Sprintf(old, "some")), `conversion webhook for shops.example.com/v1beta1, Kind=Shop failed`, `spec.count "some" is no number`)
	o.apply(t, "mall", fmt.Sprintf(old, "2"))
	o.shows(t, "shop/kiosk", "{.apiVersion} {.spec.replicas} {.spec.menu} {.metadata.labels}", `shops.example.com/v1 2 kiosk {"shops.example.com/menu":"kiosk"}`)
	contains(t, o.sh(t, "kubectl get -n mall shops.v1beta1.shops.example.com -o jsonpath='{.items[*].spec.count} {.items[*].spec.menuRef.name}'"), "4 2 bakery kiosk")
}

// closes deletes shops, one by one and with their namespace.
func (o *shops) closes(t *testing.T) {
	t.Helper()
	uid := o.field(t, "mall", "shop/bakery", "{.metadata.uid}")
	o.sh(t, "kubectl delete -n mall shop bakery --timeout=20s")
	if closed := o.field(t, "mall", "configmap/books-bakery", "{.data.closed}"); closed != uid {
		t.Errorf("the books are of %s, the shop was %s", closed, uid)
	}
	eventually(t, 20*time.Second, func() error {
		out, err := o.command(t, "kubectl", "get", "-n", "mall", "deployments,replicasets,secrets,pods", "-o", "name").Output()
		if len(out) > 0 || err != nil {
			return fmt.Errorf("there are %s, %v", out, err)
		}
		return nil
	})
	o.sh(t, "kubectl delete namespace mall --timeout=40s")
	o.sh(t, "kubectl delete crd shops.shops.example.com --timeout=20s")
}
