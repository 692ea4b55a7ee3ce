package imagepull

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/replace"
)

const (
	pullingDir, pulledDir = "pulling", "pulled"
	keyFile               = "key"
	keySize               = 32
	// maxRecord bounds the file of a record, in bytes, and maxUsers the credentials in one.
	maxRecord = 1 << 20
	maxUsers  = 500
)

// Records knows with which credentials each image was pulled. Of a credential it keeps
// where it comes from and a digest, under a key that stays in the directory. It is safe
// for concurrent use.
type Records struct {
	root *os.Root
	key  []byte

	mu      sync.Mutex
	pulling map[string]int // how many pulls of an image go on
}

// record is what is known of an image, by its ID.
type record struct {
	Image string `json:"image"`
	// Anyone says that it was pulled without credentials, or with those that every pod of
	// the node has.
	Anyone bool   `json:"anyone,omitempty"`
	Users  []user `json:"users,omitempty"`
	// Accounts are the service accounts with whose tokens it was pulled.
	Accounts []Source `json:"accounts,omitempty"`
}

// user is a credential that the image was pulled with.
type user struct {
	Secret Source `json:"secret"`
	Digest string `json:"digest"`
}

// OpenRecords opens the records in a directory, which are made where there are none.
func OpenRecords(root *os.Root) (*Records, error) {
	for _, dir := range []string{pullingDir, pulledDir} {
		if err := root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("records of pulled images: %w", err)
		}
	}
	key, err := read(root, keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, keySize)
		_, _ = rand.Read(key)
		err = replace.Below(root, keyFile, key, 0o600)
	}
	if err == nil && len(key) != keySize {
		err = fmt.Errorf("%s: %d bytes, not %d: remove it, and images are pulled again once", keyFile, len(key), keySize)
	}
	if err != nil {
		return nil, fmt.Errorf("records of pulled images: %w", err)
	}
	return &Records{root: root, key: key, pulling: map[string]int{}}, nil
}

func read(root *os.Root, name string) ([]byte, error) {
	return bounded.Below(root, name, maxRecord)
}

func fileOf(dir, name string) string {
	sum := sha256.Sum256([]byte(name))
	return dir + "/" + hex.EncodeToString(sum[:])
}

// Begin notes that an image is about to be pulled: should the agent end before it can
// note how, the image does not count as one that was always there. done takes that back.
func (r *Records) Begin(image string) (done func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := fileOf(pullingDir, image)
	if r.pulling[image] == 0 {
		if err := replace.Below(r.root, name, []byte(image), 0o600); err != nil {
			return nil, fmt.Errorf("records of pulled images: %w", err)
		}
	}
	r.pulling[image]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.pulling[image]--; r.pulling[image] == 0 {
			delete(r.pulling, image)
			_ = r.root.Remove(name)
		}
	}, nil
}

// Pulled notes that an image was pulled, with a credential or, where it is nil, without.
func (r *Records) Pulled(id, image string, by *Credential) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := r.load(id)
	if err != nil || now == nil {
		now = &record{}
	}
	now.Image = image
	switch {
	case by == nil, by.Secret == Source{} && by.Account == Source{}:
		now.Anyone = true
	case by.Account != Source{}:
		others := slices.DeleteFunc(now.Accounts, func(a Source) bool { return a == by.Account })
		now.Accounts = append([]Source{by.Account}, others[:min(len(others), maxUsers-1)]...)
	default:
		users := []user{{Secret: by.Secret, Digest: r.digest(by)}}
		for _, u := range now.Users {
			if u.Secret != by.Secret && len(users) < maxUsers {
				users = append(users, u)
			}
		}
		now.Users = users
	}
	raw, err := json.Marshal(now)
	if err == nil {
		err = replace.Below(r.root, fileOf(pulledDir, id), raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("records of pulled images: %w", err)
	}
	return nil
}

// Removed forgets an image that is not there any more.
func (r *Records) Removed(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.root.Remove(fileOf(pulledDir, id))
}

// load returns nil for an image that there is no record of. What cannot be read counts as
// a pull with credentials that nobody has.
func (r *Records) load(id string) (*record, error) {
	raw, err := read(r.root, fileOf(pulledDir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("records of pulled images: %w", err)
	}
	var out record
	if json.Unmarshal(raw, &out) != nil {
		return &record{}, nil
	}
	return &out, nil
}

// known is what the records say of an image that is present.
type known struct {
	record *record
	// preloaded says that the agent has nothing to do with its being there.
	preloaded bool
}

func (r *Records) find(id, image string) (known, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, err := r.load(id)
	if err != nil || found != nil {
		return known{record: found}, err
	}
	_, err = r.root.Lstat(fileOf(pullingDir, image))
	return known{preloaded: errors.Is(err, fs.ErrNotExist)}, nil
}

// fits says whether an image was pulled with a credential: with the same login, or with
// one of the same Secret or service account.
func (r *Records) fits(of *record, c *Credential) bool {
	if (c.Secret == Source{}) {
		return c.Account != Source{} && slices.Contains(of.Accounts, c.Account)
	}
	digest := r.digest(c)
	for _, u := range of.Users {
		if u.Secret == c.Secret || hmac.Equal([]byte(u.Digest), []byte(digest)) {
			return true
		}
	}
	return false
}

func (r *Records) digest(c *Credential) string {
	mac := hmac.New(sha256.New, r.key)
	raw, _ := json.Marshal([]string{
		c.Login.Username, c.Login.Password.Reveal(), c.Login.IdentityToken.Reveal(), c.Login.RegistryToken.Reveal(),
	})
	mac.Write(raw)
	return hex.EncodeToString(mac.Sum(nil))
}

// Verification says which images that are present a pod may use without showing that it
// could pull them, in upstream's words (imagePullCredentialsVerificationPolicy).
type Verification struct {
	Policy string
	// Allow lists images for NeverVerifyAllowlistedImages; one that ends in /* stands for
	// all below it.
	Allow []string
}

// The policies.
const (
	NeverVerify                  = "NeverVerify"
	NeverVerifyPreloadedImages   = "NeverVerifyPreloadedImages"
	NeverVerifyAllowlistedImages = "NeverVerifyAllowlistedImages"
	AlwaysVerify                 = "AlwaysVerify"
)

// Validate says what is wrong with a policy; none is the default.
func (v Verification) Validate() error {
	all := []string{NeverVerify, NeverVerifyPreloadedImages, NeverVerifyAllowlistedImages, AlwaysVerify}
	if v.Policy != "" && !slices.Contains(all, v.Policy) {
		return fmt.Errorf("%q is not one of %s", v.Policy, strings.Join(all, ", "))
	}
	for _, a := range v.Allow {
		if _, err := repositoryOf(strings.TrimSuffix(a, "/*")); err != nil || strings.Contains(strings.TrimSuffix(a, "/*"), "*") {
			return fmt.Errorf("%q in the list of images is not the name of a repository, or of those below it, such as registry.example/team/*", a)
		}
	}
	return nil
}

func (v Verification) trusts(k known, image string) bool {
	switch v.Policy {
	case NeverVerify:
		return true
	case AlwaysVerify:
		return false
	case NeverVerifyAllowlistedImages:
		return k.preloaded && v.listed(image)
	}
	return k.preloaded
}

func (v Verification) listed(image string) bool {
	repository, err := repositoryOf(image)
	if err != nil {
		return false
	}
	for _, a := range v.Allow {
		if below, ok := strings.CutSuffix(a, "/*"); ok && strings.HasPrefix(repository, below+"/") || a == repository {
			return true
		}
	}
	return false
}
