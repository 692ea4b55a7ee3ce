package apiserver_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // for the algorithms that are refused
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/encryption/atrest"
)

// forger puts tokens together with the key that the server signs with, which it has
// taken from the store: what it makes would pass but for the one thing that is wrong.
type forger struct {
	t *testing.T
	// key is the server's, other nobody's.
	key, other *rsa.PrivateKey
	// header and payload are those of a good token.
	header  map[string]any
	payload string
}

// forger opens the store's signing key and gets a good token to begin with.
func (s *system) forger() *forger {
	s.t.Helper()
	const at = "/laterna/keys"
	var got *clientv3.GetResponse
	eventually(s.t, func() (err error) { // an RSA key takes longer to make than a start
		if got, err = s.raw().Get(s.t.Context(), at); err == nil && len(got.Kvs) == 0 {
			err = errors.New("no key is stored yet")
		}
		return err
	})
	box, err := atrest.Open(filepath.Join(s.dir, "encryption", "keys"))
	must(s.t, err)
	plain, err := box.Open(s.t.Context(), at, got.Kvs[0].Value)
	must(s.t, err)
	var ring struct {
		Keys []struct {
			ID, State string
			PKCS8     []byte
		}
	}
	must(s.t, json.Unmarshal(plain, &ring))
	f := &forger{t: s.t}
	for _, k := range ring.Keys {
		if k.State != "Signing" {
			continue
		}
		private, err := x509.ParsePKCS8PrivateKey(k.PKCS8)
		must(s.t, err)
		f.key, f.header = private.(*rsa.PrivateKey), map[string]any{"alg": "RS256", "kid": k.ID}
	}
	f.other, err = rsa.GenerateKey(rand.Reader, 2048)
	must(s.t, err)
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(s.mint(s.t), ".")[1])
	must(s.t, err)
	f.payload = string(raw)
	return f
}

func part(v any) string {
	text, ok := v.(string)
	if !ok {
		raw, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		text = string(raw)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// sign returns a token of a header and a payload, which are text or values to be
// encoded.
func (f *forger) sign(header, payload any, sign func(input []byte) ([]byte, error)) string {
	f.t.Helper()
	input := part(header) + "." + part(payload)
	signature, err := sign([]byte(input))
	must(f.t, err)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// rs signs as RS256 and its longer relatives do.
func rs(key *rsa.PrivateKey, hash crypto.Hash) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) { return rsa.SignPKCS1v15(nil, key, hash, sum(hash, input)) }
}

func ps(key *rsa.PrivateKey) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		return rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum(crypto.SHA256, input), nil)
	}
}

func es(key *ecdsa.PrivateKey) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		r, s, err := ecdsa.Sign(rand.Reader, key, sum(crypto.SHA256, input))
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	}
}

func hs(secret []byte) func([]byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		m := hmac.New(sha256.New, secret)
		m.Write(input)
		return m.Sum(nil), nil
	}
}

func fixed(signature []byte) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return signature, nil }
}

func sum(hash crypto.Hash, input []byte) []byte {
	h := hash.New()
	h.Write(input)
	return h.Sum(nil)
}

// says is a token of the server's key with a changed payload.
func (f *forger) says(old, new string) string {
	f.t.Helper()
	changed := strings.Replace(f.payload, old, new, 1)
	if changed == f.payload {
		f.t.Fatalf("the payload has no %s: %s", old, f.payload)
	}
	return f.sign(f.header, changed, rs(f.key, crypto.SHA256))
}

// claims is a token of the server's key with changed claims; nil removes one.
func (f *forger) claims(change map[string]any) string {
	f.t.Helper()
	var all map[string]any
	must(f.t, json.Unmarshal([]byte(f.payload), &all))
	for name, value := range change {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return f.sign(f.header, all, rs(f.key, crypto.SHA256))
}

// headed is a token with another header, signed with the server's key unless sign is
// given.
func (f *forger) headed(change map[string]any, sign func([]byte) ([]byte, error)) string {
	f.t.Helper()
	header := maps.Clone(f.header)
	for name, value := range change {
		if header[name] = value; value == nil {
			delete(header, name)
		}
	}
	if sign == nil {
		sign = rs(f.key, crypto.SHA256)
	}
	return f.sign(header, f.payload, sign)
}

func robot(t *testing.T, s *system) {
	t.Helper()
	_, err := s.admin().CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{})
	must(t, err)
}

// TestForgedTokens shows tokens to a running server, most of them signed with its own
// key. The server says the reason to who may review tokens, and nothing to the bearer.
func TestForgedTokens(t *testing.T) {
	s := boot(t, t.TempDir(), func(c *apiserver.Config) { c.Keys = ring(t, boundtoken.RS256) })
	robot(t, s)
	f, anybody := s.forger(), s.insecure()
	for group, attacks := range map[string][]attack{"header": f.headerAttacks(s), "form": f.formAttacks(), "claims": f.claimAttacks()} {
		for _, a := range attacks {
			t.Run(group+"/"+a.name, func(t *testing.T) { a.try(t, s, anybody) })
		}
	}
	good := f.sign(f.header, f.payload, rs(f.key, crypto.SHA256))
	if r := s.reviews(t, good); !r.Authenticated || r.User.Username != "system:serviceaccount:default:robot" {
		t.Errorf("the token that the attacks are made from: %+v", r)
	}
	greedy := s.reviews(t, f.claims(map[string]any{
		"groups": []string{"system:masters"}, "username": "admin", "extra": map[string]any{"scopes": "all"}}))
	if !greedy.Authenticated || greedy.User.Username != "system:serviceaccount:default:robot" || slices.Contains(greedy.User.Groups, "system:masters") || greedy.User.Extra["scopes"] != nil {
		t.Errorf("claims that are not ours count: %+v", greedy)
	}
}

// attack is a token that does not pass.
type attack struct {
	name, token string
	reason      string // part of the review's error
}

func (a attack) try(t *testing.T, s *system, anybody *http.Client) {
	for range 2 { // also when it has been seen before
		r, err := s.admin().AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: a.token}}, metav1.CreateOptions{})
		must(t, err)
		if r.Status.Authenticated || r.Status.User.Username != "" || !strings.Contains(r.Status.Error, a.reason) {
			t.Errorf("review: %+v, want a refusal that says %q", r.Status, a.reason)
		}
		if _, signature, ok := strings.Cut(a.token[strings.Index(a.token, ".")+1:], "."); ok && len(signature) > 20 && strings.Contains(r.Status.Error, signature) {
			t.Errorf("the reason holds the signature: %s", r.Status.Error)
		}
	}
	if strings.ContainsAny(a.token, "\n\x00 ") {
		return // no header can hold it, or not as one token
	}
	code, body := s.fetch(anybody, http.MethodGet, "/api", nil, "Authorization", "Bearer "+a.token)
	if code != http.StatusUnauthorized || !strings.Contains(string(body), `"message":"Unauthorized"`) {
		t.Errorf("GET /api: %d %s, want 401", code, body)
	}
}

func (f *forger) headerAttacks(s *system) []attack {
	f.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(f.key.Public())
	must(f.t, err)
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	_, set := s.fetch(s.insecure(), http.MethodGet, "/openid/v1/jwks", nil)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(f.t, err)
	theirs := rs(f.other, crypto.SHA256)
	jwk := map[string]any{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(f.other.N.Bytes()), "e": "AQAB", "kid": f.header["kid"]}
	id, _ := f.header["kid"].(string)
	const algorithm, parameter, key, signature = "token algorithm %q is not allowed", "token header parameter %q is not allowed", "invalid signature, no keys found", "signed with another key"
	said := func(format, what string) string { return strings.Replace(format, "%q", `"`+what+`"`, 1) }
	var out []attack
	add := func(name, reason string, change map[string]any, sign func([]byte) ([]byte, error)) {
		out = append(out, attack{name, f.headed(change, sign), reason})
	}
	add("none", said(algorithm, "none"), map[string]any{"alg": "none"}, fixed([]byte("x")))
	add("None", said(algorithm, "None"), map[string]any{"alg": "None"}, fixed([]byte("x")))
	add("none, well signed", said(algorithm, "none"), map[string]any{"alg": "none"}, nil)
	add("no algorithm", said(algorithm, ""), map[string]any{"alg": nil}, nil)
	add("HS256 with the key in PEM", said(algorithm, "HS256"), map[string]any{"alg": "HS256"}, hs(inPEM))
	add("HS256 with the key in DER", said(algorithm, "HS256"), map[string]any{"alg": "HS256"}, hs(der))
	add("HS256 with the key set", said(algorithm, "HS256"), map[string]any{"alg": "HS256"}, hs(set))
	add("PS256", said(algorithm, "PS256"), map[string]any{"alg": "PS256"}, ps(f.key))
	add("PS256 that says RS256", signature, nil, ps(f.key))
	add("RS512", said(algorithm, "RS512"), map[string]any{"alg": "RS512"}, rs(f.key, crypto.SHA512))
	add("RS512 that says RS256", signature, nil, rs(f.key, crypto.SHA512))
	add("ES256 with the RSA key's ID", "is not that of the key", map[string]any{"alg": "ES256"}, es(ec))
	add("ES256 without a key's ID", "is not that of the key", map[string]any{"alg": "ES256", "kid": nil}, es(ec))
	add("jwk", said(parameter, "jwk"), map[string]any{"jwk": jwk}, theirs)
	add("jwk, well signed", said(parameter, "jwk"), map[string]any{"jwk": jwk}, nil)
	add("jku", said(parameter, "jku"), map[string]any{"jku": "https://evil.example/jwks"}, theirs)
	add("x5u", said(parameter, "x5u"), map[string]any{"x5u": "https://evil.example/cert.pem"}, theirs)
	add("x5c", said(parameter, "x5c"), map[string]any{"x5c": []string{base64.StdEncoding.EncodeToString(der)}}, theirs)
	add("crit", said(parameter, "crit"), map[string]any{"crit": []string{"exp"}}, nil)
	add("type of another token", "is not JWT", map[string]any{"typ": "at+jwt"}, nil)
	add("unknown kid", key, map[string]any{"kid": "unknown"}, nil)
	add("kid a path", key, map[string]any{"kid": "../../../../dev/null"}, fixed([]byte{0}))
	add("kid a path to the key", key, map[string]any{"kid": "/laterna/keys"}, nil)
	add("kid with a NUL", key, map[string]any{"kid": id + "\x00"}, nil)
	add("kid in another case", key, map[string]any{"kid": strings.ToUpper(id)}, nil)
	add("kid an injection", key, map[string]any{"kid": "' UNION SELECT 'x"}, hs([]byte("x")))
	add("kid of another key", signature, map[string]any{"kid": f.upcoming(s, id)}, nil)
	add("foreign key", signature, nil, theirs)
	add("foreign key without kid", signature, map[string]any{"kid": nil}, theirs)
	for name, header := range map[string]string{
		`header repeats "alg"`: `{"alg":"none","kid":"` + id + `","alg":"RS256"}`,
		`header repeats "kid"`: `{"alg":"RS256","kid":"x","kid":"` + id + `"}`,
	} {
		out = append(out, attack{name, f.sign(header, f.payload, rs(f.key, crypto.SHA256)), name})
	}
	return append(out, attack{"parameter in another case", f.sign(`{"alg":"RS256","ALG":"none","kid":"`+id+`"}`, f.payload, rs(f.key, crypto.SHA256)), said(parameter, "ALG")})
}

// upcoming publishes another key and returns its ID.
func (f *forger) upcoming(s *system, old string) string {
	f.t.Helper()
	manifest := `{"apiVersion":"identity.laterna.dev/v1alpha1","kind":"SigningKey","spec":{"type":"RSA2048"}}`
	code, body := s.fetch(s.privileged(), http.MethodPost, "/apis/identity.laterna.dev/v1alpha1/signingkeys", strings.NewReader(manifest), "Content-Type", "application/json")
	var made struct{ Status struct{ KeyID string } }
	must(f.t, json.Unmarshal(body, &made))
	if code != http.StatusCreated || made.Status.KeyID == "" || made.Status.KeyID == old {
		f.t.Fatalf("%d %s", code, body)
	}
	return made.Status.KeyID
}

func (f *forger) formAttacks() []attack {
	good := f.sign(f.header, f.payload, rs(f.key, crypto.SHA256))
	p := strings.Split(good, ".")
	well := rs(f.key, crypto.SHA256)
	// What does not have the form of a token is left to others, of whom there are none.
	const malformed, opaque = "malformed token: ", "invalid bearer token"
	return []attack{
		{"text after the payload", f.sign(f.header, f.payload+"x", well), malformed},
		{"second object after the payload", f.sign(f.header, f.payload+`{"sub":"system:admin"}`, well), malformed + "its payload goes on after its end"},
		{"text after the header", f.sign(`{"alg":"RS256"}{"alg":"none"}`, f.payload, well), malformed + "its header goes on after its end"},
		{"fourth part", good + ".AAAA", opaque},
		{"empty fourth part", good + ".", opaque},
		{"two parts", p[0] + "." + p[1], opaque},
		{"empty signature", p[0] + "." + p[1] + ".", opaque},
		{"JSON form", `{"payload":"` + p[1] + `","protected":"` + p[0] + `","signature":"` + p[2] + `"}`, opaque},
		{"padding of the signature", good + "==", malformed + "its signature is not base64url"},
		{"padding of the payload", p[0] + "." + p[1] + "=." + p[2], malformed + "its payload is not base64url"},
		{"padding of the header", p[0] + "=." + p[1] + "." + p[2], malformed + "its header is not base64url"},
		{"loose bits", good[:len(good)-1] + nextLetter(good[len(good)-1]), malformed + "its signature is not base64url"},
		{"standard alphabet", p[0] + "." + p[1] + "." + "+/+/" + p[2], malformed + "its signature is not base64url"},
		{"line break inside", p[0] + "." + p[1] + "." + p[2][:8] + "\n" + p[2][8:], opaque},
		{"line break at the end", good + "\n", opaque},
		{"space in front", " " + good, opaque},
		{"NUL at the end", good + "\x00", opaque},
		{"signature of nothing", p[0] + "." + p[1] + "." + part(strings.Repeat("\x00", 256)), "signed with another key"},
		{"short signature", p[0] + "." + p[1] + "." + part(strings.Repeat("x", 255)), "signed with another key"},
		{"oversize", f.says(`{"`, `{"x":"`+strings.Repeat("x", 50<<10)+`","`), "is longer than 65536"},
		{"deep nesting", f.says(`{"`, `{"x":`+strings.Repeat("[", 2000)+strings.Repeat("]", 2000)+`,"`), malformed + "its payload nests deeper than 8"},
		{"deep objects", f.says(`{"`, `{"x":`+strings.Repeat(`{"a":`, 100)+"1"+strings.Repeat("}", 100)+`,"`), malformed + "its payload nests deeper than 8"},
		{"NUL in JSON", f.says(`"iss":"`, `"iss":"`+"\x00"), malformed},
		{"NUL between claims", f.says(`,"`, ",\x00\""), malformed},
		{"broken UTF-8", f.says("robot", "rob\xc0\x80t"), malformed + "its payload is not UTF-8"},
		{"byte order mark", f.sign(f.header, "\ufeff"+f.payload, well), malformed + "its payload is not a JSON object"},
		{"list of claims", f.sign(f.header, "["+f.payload+"]", well), malformed + "its payload is not a JSON object"},
		{"claim twice", f.says(`"sub":`, `"sub":"system:admin","sub":`), malformed + `its payload repeats "sub"`},
		{"claim twice, the last counts", f.says(`"nbf":`, `"aud":["x"],"nbf":`), malformed + `its payload repeats "aud"`},
		{"claim twice, one escaped", f.says(`"sub":`, `"\u0073ub":"system:admin","sub":`), malformed + `its payload repeats "sub"`},
		{"inner claim twice", f.says(`"namespace":`, `"namespace":"kube-system","namespace":`), malformed + `its payload repeats "namespace"`},
	}
}

// nextLetter follows c in the base64url alphabet: the last letter of a signature has
// bits that do not count.
func nextLetter(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_A"
	return alphabet[strings.IndexByte(alphabet, c)+1:][:1]
}

func (f *forger) claimAttacks() []attack {
	var own struct {
		Exp, Iat   int64
		Kubernetes map[string]any `json:"kubernetes.io"`
	}
	must(f.t, json.Unmarshal([]byte(f.payload), &own))
	bound := func(what string, ref map[string]any) map[string]any {
		changed := maps.Clone(own.Kubernetes)
		changed[what] = ref
		return map[string]any{"kubernetes.io": changed}
	}
	const hour = int64(3600)
	out := []attack{
		{"audience in another case", f.claims(map[string]any{"aud": []string{"HTTPS://kubernetes.default.svc"}}), `token audiences ["HTTPS://kubernetes.default.svc"] is invalid for the target audiences`},
		{"another audience", f.claims(map[string]any{"aud": []string{"vault"}}), `token audiences ["vault"] is invalid for the target audiences`},
		{"no audience", f.claims(map[string]any{"aud": nil}), "is invalid for the target audiences"},
		{"audience a text", f.claims(map[string]any{"aud": "https://kubernetes.default.svc"}), "not of the right types"},
		{"expired", f.claims(map[string]any{"exp": own.Iat - hour}), "service account token has expired"},
		{"without end", f.claims(map[string]any{"exp": nil}), "token has no expiry"},
		{"end a text", f.claims(map[string]any{"exp": "never"}), "not of the right types"},
		{"end beyond all time", f.claims(map[string]any{"exp": 1e300}), "not of the right types"},
		{"not yet valid", f.claims(map[string]any{"nbf": own.Iat + hour}), "service account token is not valid yet"},
		{"from the future", f.claims(map[string]any{"iat": own.Iat + hour, "nbf": nil}), "service account token is issued in the future"},
		{"subject of somebody else", f.claims(map[string]any{"sub": "system:serviceaccount:kube-system:robot"}), "is not its service account"},
		{"subject an admin", f.claims(map[string]any{"sub": "system:admin"}), "is not its service account"},
		{"subject with a NUL", f.claims(map[string]any{"sub": "system:serviceaccount:default:robot\x00"}), "is not its service account"},
		{"account of another life", f.claims(bound("serviceaccount", map[string]any{"name": "robot", "uid": "another"})), "service account UID ("},
		{"no account", f.claims(bound("serviceaccount", map[string]any{})), "token names no service account"},
		{"pod that is none", f.claims(bound("pod", map[string]any{"name": "none", "uid": "u"})), "service account token has been invalidated"},
		{"pod without uid", f.claims(bound("pod", map[string]any{"name": "none"})), "bound to an object without name or uid"},
		{"secret that is none", f.claims(bound("secret", map[string]any{"name": "none", "uid": "u"})), "service account token has been invalidated"},
		{"node that is none", f.claims(bound("node", map[string]any{"name": "none", "uid": "u"})), "service account token has been invalidated"},
	}
	for name, issuer := range map[string]string{
		"empty": "", "another": "https://evil.example", "slash at the end": "https://kubernetes.default.svc/", "upper case": "https://Kubernetes.default.svc",
		"port": "https://kubernetes.default.svc:443", "without TLS": "http://kubernetes.default.svc", "Cyrillic e": "https://kub\u0435rnetes.default.svc",
		"full-width dot": "https://kubernetes\uff0edefault.svc", "soft hyphen": "https://kuber\u00adnetes.default.svc", "zero-width space": "https://kubernetes.default.svc\u200b",
		"right to left": "\u202ehttps://kubernetes.default.svc", "composed": "https://kubern\u0065\u0301tes.default.svc", "NUL at the end": "https://kubernetes.default.svc\x00",
		"space in front": " https://kubernetes.default.svc", "other user": "https://kubernetes.default.svc@evil.example", "fragment": "https://kubernetes.default.svc#",
	} {
		out = append(out, attack{"issuer/" + name, f.claims(map[string]any{"iss": issuer}), "token issuer "})
	}
	return out
}
