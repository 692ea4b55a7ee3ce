package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const header = "apiVersion: " + APIVersion + "\nkind: " + Kind + "\n"

func readFile(t *testing.T, content string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Default()
	err := c.Load(path)
	return c, err
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestFileOfHeaderAloneChangesNothing(t *testing.T) {
	c, err := readFile(t, "# a comment\n---\n"+header)
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
}

func TestFileSetsWhatItNames(t *testing.T) {
	c, err := readFile(t, header+`
tokens: {serviceAccountMaxTokenExpiration: 24h, serviceAccountExtendTokenExpiration: false}
store: {etcdServers: [https://10.0.0.1:2379]}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Tokens.MaxExpiration.Duration, want.Tokens.ExtendExpiration = 24*time.Hour, false
	want.Store.EtcdServers = []string{"https://10.0.0.1:2379"}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
}

func TestFileIsDecodedStrictly(t *testing.T) {
	for name, test := range map[string]struct{ content, want string }{
		"empty":              {"", "is empty"},
		"comments":           {"# nothing\n", "is empty"},
		"list":               {"[a]", "is not a mapping of fields"},
		"no kind":            {"dataDir: /x", `must begin with apiVersion: ` + APIVersion},
		"other version":      {"apiVersion: config.laterna.dev/v9\nkind: " + Kind, `apiVersion: "config.laterna.dev/v9"`},
		"unknown field":      {header + "node: {ip: 10.0.0.1, size: 3}", `unknown field "node.size"`},
		"wrong case":         {header + "DataDir: /x", `unknown field "DataDir"`},
		"repeated field":     {header + "dataDir: a\ndataDir: b", `line 4: key "dataDir" already set`},
		"bool for text":      {header + "dataDir: true", "dataDir: want text, got bool"},
		"text for bool":      {header + "testClock: yes please", "testClock: want true or false, got string"},
		"fraction":           {header + "verbosity: 1.5", "verbosity: want a whole number, got number 1.5"},
		"scalar for fields":  {header + "node: true", "node: want fields below it, got bool"},
		"text for list":      {header + "store: {etcdServers: a}", "store.etcdServers: want a list, got string"},
		"number in list":     {header + "tokens: {apiAudiences: [5]}", "tokens.apiAudiences: want text, got number"},
		"bad duration":       {header + "tokens: {serviceAccountMaxTokenExpiration: 1d}", "tokens.serviceAccountMaxTokenExpiration, tokens.serviceAccountIssuerOverlap, tokens.legacyServiceAccountTokenCleanUpPeriod: want a duration such as 24h"},
		"number as duration": {header + "tokens: {serviceAccountMaxTokenExpiration: 5}", "tokens.serviceAccountMaxTokenExpiration: want"},
		"no YAML":            {header + "a: b: c", "is not YAML: "},
		"tab":                {header + "\tdataDir: a", "is not YAML: "},
		"two documents":      {header + "---\n" + header, "holds more than one document"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := readFile(t, test.content)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "configuration /") {
				t.Errorf("got %v, want one that names the file and says %q", err, test.want)
			}
			if !reflect.DeepEqual(c, Default()) {
				t.Errorf("a refused file has changed the configuration: %+v", c)
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	c := Default()
	if err := c.Load("/does/not/exist"); err == nil || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("got %v", err)
	}
}

func FuzzConfigFile(f *testing.F) {
	f.Add([]byte(header))
	f.Add([]byte(header + "node: {enabled: false}\n---\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := Default()
		if err := c.decode(raw); err != nil && !reflect.DeepEqual(c, Default()) {
			t.Errorf("refused with %v, but changed: %+v", err, c)
		}
	})
}
