package compat

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const fortuneHTTPSPod = `
apiVersion: v1
kind: Pod
metadata: {name: fortune-https}
spec:
  containers:
  - name: html-generator
    image: luksa/fortune:env
    env:
    - name: INTERVAL
      valueFrom: {configMapKeyRef: {name: fortune-config, key: sleep-interval}}
    volumeMounts:
    - {name: html, mountPath: /var/htdocs}
  - name: web-server
    image: nginx:alpine
    volumeMounts:
    - {name: html, mountPath: /usr/share/nginx/html, readOnly: true}
    - {name: config, mountPath: /etc/nginx/conf.d, readOnly: true}
    - {name: certs, mountPath: /etc/nginx/certs/, readOnly: true}
    ports:
    - containerPort: 80
    - containerPort: 443
  volumes:
  - name: html
    emptyDir: {}
  - name: config
    configMap:
      name: fortune-config
      items:
      - {key: my-nginx-config.conf, path: https.conf}
  - name: certs
    secret:
      secretName: fortune-https
`

const nginxHTTPSConfig = `server {
    listen              80;
    listen              443 ssl;
    server_name         www.kubia-example.com;
    ssl_certificate     certs/https.cert;
    ssl_certificate_key certs/https.key;
    ssl_protocols       TLSv1 TLSv1.1 TLSv1.2;
    ssl_ciphers         HIGH:!aNULL:!MD5;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }
}
`

func TestB14CertificateOfASecret(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	dir := writeFortuneConfig(t, "on")
	if err := os.WriteFile(filepath.Join(dir, "configmap-files", "my-nginx-config.conf"), []byte(nginxHTTPSConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	in := "cd " + dir + " && kubectl -n " + ns + " "
	s.sh(t, "cd "+dir+" && echo bar > foo && openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=www.kubia-example.com -keyout https.key -out https.cert 2>/dev/null")
	s.sh(t, in+"create secret generic fortune-https --from-file=https.key --from-file=https.cert --from-file=foo")
	s.sh(t, in+"create configmap fortune-config --from-file=configmap-files")
	s.apply(t, ns, fortuneHTTPSPod)
	s.apply(t, ns, curlPod)
	s.running(t, ns, "fortune-https", "curl")

	ip := s.field(t, ns, "pod/fortune-https", "{.status.podIP}")
	var page string
	eventually(t, 20*time.Second, func() (err error) {
		out, err := s.command(t, "kubectl", "exec", "-n", ns, "curl", "--", "curl", "-sS", "-f", "-k", "-v", "https://"+ip).CombinedOutput()
		page = string(out)
		return err
	})
	contains(t, page, "subject: CN=www.kubia-example.com", "HTTP/1.1 200 OK")
	contains(t, s.sh(t, "curl -sS -k -v https://"+s.forward(t, ns, true, "fortune-https", ":443")+" 2>&1"), "subject: CN=www.kubia-example.com", "200 OK")
	servesCertificate(t, ip+":443", filepath.Join(dir, "https.cert"), filepath.Join(dir, "https.key"))
	if generated := s.sh(t, "kubectl logs -n "+ns+" fortune-https -c html-generator"); !strings.Contains(generated, "every 25 seconds") {
		t.Errorf("the generator says %q", generated)
	}

	web := func(line string) string {
		return s.sh(t, "kubectl exec -n "+ns+" fortune-https -c web-server -- sh -c '"+line+"'")
	}
	if mounts := web("mount | grep certs"); !regexp.MustCompile(`^tmpfs on /etc/nginx/certs type tmpfs \(ro,relatime[,)]`).MatchString(mounts) {
		t.Errorf("mount prints %q", mounts)
	}
	if got := web("ls /etc/nginx/certs /etc/nginx/conf.d"); got != "/etc/nginx/certs:\nfoo\nhttps.cert\nhttps.key\n\n/etc/nginx/conf.d:\nhttps.conf\n" {
		t.Errorf("ls prints %q", got)
	}
	if got := web("cat /etc/nginx/certs/foo"); got != "bar\n" {
		t.Errorf("foo holds %q", got)
	}
	if out := s.fails(t, "kubectl exec -n "+ns+" fortune-https -c web-server -- touch /etc/nginx/certs/new"); !strings.Contains(out, "Read-only file system") {
		t.Errorf("writing beside the certificate: %s", out)
	}
}

// servesCertificate connects to a server and compares its certificate with a file.
func servesCertificate(t testing.TB, address, certificate, key string) {
	t.Helper()
	want, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	served := conn.ConnectionState().PeerCertificates[0]
	if !served.Equal(want.Leaf) || served.Subject.CommonName != "www.kubia-example.com" {
		t.Errorf("serves the certificate of %s, number %s", served.Subject, served.SerialNumber)
	}
}

const partsPod = `
apiVersion: v1
kind: Pod
metadata: {name: parts}
spec:
  containers:
  - name: web-server
    image: nginx:alpine
    volumeMounts:
    - {name: items, mountPath: /etc/nginx/conf.d}
    - {name: whole, mountPath: /etc/one-file.conf, subPath: my-nginx-config.conf}
    - {name: private, mountPath: /private}
  volumes:
  - name: items
    configMap:
      name: fortune-config
      items:
      - {key: my-nginx-config.conf, path: gzip.conf}
  - name: whole
    configMap: {name: fortune-config}
  - name: private
    configMap:
      name: fortune-config
      defaultMode: 0660
      items:
      - {key: sleep-interval, path: sleep-interval}
      - {key: my-nginx-config.conf, path: open.conf, mode: 0604}
`

func TestB19ItemsHidingAndModes(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.sh(t, "cd "+writeFortuneConfig(t, "on")+" && kubectl -n "+ns+" create configmap fortune-config --from-file=configmap-files")
	s.apply(t, ns, partsPod)
	s.running(t, ns, "parts")
	inside := func(line string) string { return s.exec(t, ns, "parts", "sh", "-c", line) }

	if got := inside("ls /etc/nginx/conf.d; cat /etc/nginx/conf.d/gzip.conf"); got != "gzip.conf\n"+nginxConfig("on") {
		t.Errorf("the volume with items shows %q: the image's default.conf is hidden, only the item is there", got)
	}
	if got := inside("cat /etc/one-file.conf"); got != nginxConfig("on") {
		t.Errorf("the file mounted by subPath holds %q", got)
	}
	if got := inside("ls -d /etc/passwd /etc/group /etc/nginx/nginx.conf; test -f /etc/one-file.conf && echo file"); got != "/etc/group\n/etc/nginx/nginx.conf\n/etc/passwd\nfile\n" {
		t.Errorf("beside the file mounted by subPath is %q", got)
	}
	if got := inside("stat -L -c '%a %n' /private/* /etc/nginx/conf.d/* /etc/one-file.conf"); got != "604 /private/open.conf\n660 /private/sleep-interval\n644 /etc/nginx/conf.d/gzip.conf\n644 /etc/one-file.conf\n" {
		t.Errorf("modes\n%s", got)
	}

	// The forms that documents print by mistake are answered as upstream does.
	asText := strings.Replace(partsPod, "defaultMode: 0660", `defaultMode: "6600"`, 1)
	contains(t, s.refused(t, ns, strings.Replace(asText, "name: parts", "name: text", 1)), "defaultMode", "cannot unmarshal string into Go struct field", "int32")
	lower := strings.Replace(partsPod, "subPath:", "subpath:", 1)
	contains(t, s.refused(t, ns, strings.Replace(lower, "name: parts", "name: lower", 1)), `unknown field "spec.containers[0].volumeMounts[1].subpath"`)
}
