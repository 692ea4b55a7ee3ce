package sts_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// rsaKey is one for all tests: they take long to make.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	must(t, err)
	return k
}

type object = map[string]any

// jwk is the public half of a key.
func jwk(id string, key crypto.Signer) object {
	b := func(n *big.Int, size int) string {
		return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, size)))
	}
	switch k := key.Public().(type) {
	case *rsa.PublicKey:
		return object{"kty": "RSA", "kid": id, "use": "sig", "n": b(k.N, k.Size()), "e": "AQAB"}
	case *ecdsa.PublicKey:
		size := (k.Params().BitSize + 7) / 8
		return object{"kty": "EC", "kid": id, "use": "sig", "crv": k.Params().Name, "x": b(k.X, size), "y": b(k.Y, size)}
	}
	return nil
}

// issuer is a host with TLS that publishes keys.
type issuer struct {
	w    *world
	url  string // without https://
	key  *rsa.PrivateKey
	host *httptest.Server

	mu       sync.Mutex
	keys     []object
	document object
	raw      string // in place of the key set
	cache    string
	status   int
	hold     time.Duration
	asked    int
}

// issuer makes an issuer that is found at the host of its url.
func (w *world) issuer(at string) *issuer {
	w.t.Helper()
	name, _, _ := strings.Cut(at, "/")
	cert, err := w.authority.Hosts().Certificate(strings.ToLower(name))
	must(w.t, err)
	return w.issuerWith(at, *cert)
}

func (w *world) issuerWith(at string, cert tls.Certificate) *issuer {
	w.t.Helper()
	key, err := rsaKey()
	must(w.t, err)
	i := &issuer{w: w, url: at, key: key, keys: []object{jwk("k1", key)}, document: object{"issuer": "https://" + at, "jwks_uri": "https://" + at + "/keys"}}
	l, err := new(net.ListenConfig).Listen(w.t.Context(), "tcp", "127.0.0.2:0")
	must(w.t, err)
	i.host = &httptest.Server{Listener: l, Config: &http.Server{Handler: i, ErrorLog: log.New(io.Discard, "", 0)}, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}
	i.host.StartTLS()
	w.t.Cleanup(i.host.Close)
	name, _, _ := strings.Cut(at, "/")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts[strings.ToLower(name)+":443"] = l.Addr().String()
	w.hosts[name+":443"] = l.Addr().String()
	return i
}

// ServeHTTP implements http.Handler.
func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.asked++
	document, keys, raw, cache, status, hold := i.document, i.keys, i.raw, i.cache, i.status, i.hold
	i.mu.Unlock()
	if hold > 0 {
		select {
		case <-time.After(hold):
		case <-r.Context().Done():
			return
		}
	}
	if cache != "" {
		w.Header().Set("Cache-Control", cache)
	}
	switch {
	case status != 0:
		w.WriteHeader(status)
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		json.NewEncoder(w).Encode(document)
	case raw != "":
		w.Write([]byte(raw))
	default:
		json.NewEncoder(w).Encode(object{"keys": keys})
	}
}

// set changes the issuer while it is asked.
func (i *issuer) set(change func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// claims are those of a good token.
func (i *issuer) claims() object {
	now := i.w.clock.Now().Unix()
	return object{"iss": "https://" + i.url, "sub": subject, "aud": []string{audience}, "iat": now, "nbf": now, "exp": now + 3600}
}

// token is one with claims changed, signed by the issuer's key.
func (i *issuer) token(change object) string {
	claims := i.claims()
	for name, value := range change {
		if value == absent {
			delete(claims, name)
		} else {
			claims[name] = value
		}
	}
	return sign(i.w.t, object{"alg": "RS256", "kid": "k1", "typ": "JWT"}, claims, i.key)
}

// absent takes a claim away.
var absent = &struct{ none bool }{}

func sign(t testing.TB, header, claims any, key crypto.Signer) string {
	t.Helper()
	h, err := json.Marshal(header)
	must(t, err)
	c, err := json.Marshal(claims)
	must(t, err)
	return signText(t, string(h), string(c), key)
}

func signText(t testing.TB, header, claims string, key crypto.Signer) string {
	t.Helper()
	b := base64.RawURLEncoding.EncodeToString
	text := b([]byte(header)) + "." + b([]byte(claims))
	var h struct{ Alg string }
	must(t, json.Unmarshal([]byte(header), &h))
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[h.Alg[max(0, len(h.Alg)-3):]]
	if hash == 0 {
		return text + "."
	}
	d := hash.New()
	d.Write([]byte(text))
	sum := d.Sum(nil)
	if k, ok := key.(*ecdsa.PrivateKey); ok {
		r, s, err := ecdsa.Sign(rand.Reader, k, sum)
		must(t, err)
		size := (k.Params().BitSize + 7) / 8
		return text + "." + b(append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...))
	}
	opts := crypto.SignerOpts(hash)
	if strings.HasPrefix(h.Alg, "PS") {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	signature, err := key.Sign(rand.Reader, sum, opts)
	must(t, err)
	return text + "." + b(signature)
}

// firstCertificate is the first of a file's.
func firstCertificate(t testing.TB, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatal("no certificate")
	}
	return block.Bytes
}
