package onupdate

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	got, err := Parse(`
- {volumes: [config], container: web, signal: SIGHUP}
- volumes: [config, "keys"]
  container: web
  exec: [nginx, -s, "reload", ""]
  timeout: 5s
- {volumes: [config], container: side, restart: true}
- {volumes: [config], container: web, check: [nginx, -t, -c, "$(LATERNA_CANDIDATE)/nginx.conf"]}
- {volumes: [config], container: web, signal: USR1}
`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].at.rule.line < i+2 || got[i].at.action.line == 0 || len(got[i].at.volumes) != len(got[i].Volumes) {
			t.Errorf("places of rule %d: %+v", i, got[i].at)
		}
		got[i].at = places{}
	}
	want := []Rule{
		{Volumes: []string{"config"}, Container: "web", Signal: "SIGHUP"},
		{Volumes: []string{"config", "keys"}, Container: "web", Exec: []string{"nginx", "-s", "reload", ""}, Timeout: 5 * time.Second},
		{Volumes: []string{"config"}, Container: "side", Restart: true},
		{Volumes: []string{"config"}, Container: "web", Check: []string{"nginx", "-t", "-c", "$(LATERNA_CANDIDATE)/nginx.conf"}, Timeout: DefaultTimeout},
		{Volumes: []string{"config"}, Container: "web", Signal: "SIGUSR1"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("rules\n%+v, want\n%+v", got, want)
	}
	if rules, err := Parse("[]"); err != nil || len(rules) != 0 {
		t.Errorf("no rules: %v, %v", rules, err)
	}
}

// rule is an annotation of one rule with the given action on its third line.
func rule(action string) string {
	return "- volumes: [config]\n  container: web\n  " + action
}

func TestMistakesAreToldWithTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		"":                                `is empty: write a list of rules such as [{volumes: [config], container: web, signal: SIGHUP}], or remove the annotation`,
		"# nothing":                       `is empty`,
		"web":                             `line 1, column 1: want a list of rules: begin each with a dash`,
		"volumes: [a]":                    `line 1, column 1: want a list of rules`,
		"[]\n---\n[]":                     `line 2, column 1: want one list, found a second YAML document`,
		"- nginx":                         `line 1, column 3: want a rule such as {volumes:`,
		"- [a]":                           `line 1, column 3: want a rule such as`,
		"- {":                             `line 1: is not YAML: did not find expected node content`,
		"- {container: \"web}":            `line 1: is not YAML: found unexpected end of stream`,
		"- volumes: [a\n  container: web": `line 1: is not YAML: did not find expected ',' or ']'`,
		"- {volumes: [a]}\n- a: b: c":     `line 2: is not YAML: mapping values are not allowed in this context`,
		"\n\n\t- x":                       `line 3: is not YAML: found character that cannot start any token`,
		"- &x {container: a}\n- *x":       `line 1, column 3: anchors are not supported`,
		"- *x":                            `is not YAML: unknown anchor 'x' referenced`,
		"- !!map {container: a}":          `line 1, column 3: tags are not supported: leave !!map out`,

		rule("signal: SIGHUP\n  container: x"):              `line 4, column 3: field container is given twice`,
		rule("sginal: SIGHUP"):                              `line 3, column 3: unknown field: a rule has volumes, container, signal, exec, restart, check, timeout`,
		rule("? [a]\n  : b"):                                `line 3, column 5: unknown field`,
		rule("timeout: 5s"):                                 `line 1, column 3: the rule does nothing: add one of signal, exec, restart, check`,
		rule("signal: SIGHUP\n  restart: true"):             `line 4, column 3: a rule does one thing and this one has signal already: make restart a rule of its own`,
		"- {container: web, signal: SIGHUP}":                `line 1, column 3: the rule names no volumes: add volumes: [config]`,
		"- {volumes: [a], signal: SIGHUP}":                  `line 1, column 3: the rule names no container`,
		"- {volumes: a, container: b, signal: SIGHUP}":      `line 1, column 13: volumes is a list of names: write [a]`,
		"- {volumes: [], container: b, signal: SIGHUP}":     `line 1, column 13: volumes has 0 names, it must have 1 to 64`,
		"- {volumes: [a, a], container: b, signal: SIGHUP}": `line 1, column 17: volume "a" is named twice in this rule`,
		"- {volumes: [1], container: b, signal: SIGHUP}":    `line 1, column 14: want the name of a volume: put it in quotes, "1"`,
		"- {volumes: [a], container: , signal: SIGHUP}":     `line 1, column 29: want the name of a container`,
		"- {volumes: [a], container: [b], signal: SIGHUP}":  `line 1, column 29: want the name of a container`,
		`- {volumes: [""], container: b, signal: SIGHUP}`:   `line 1, column 14: want the name of a volume, not an empty text`,
		"- {volumes: [a], container: b, <<: {signal: HUP}}": `line 1, column 32: unknown field`,
		"- {volumes: [äöü], container: 5, signal: SIGHUP}":  `line 1, column 31: want the name of a container: put it in quotes, "5"`,
		rule("signal: 1"):                                   `line 3, column 11: signals are given by name: write SIGHUP`,
		rule("signal: '15'"):                                `line 3, column 11: signals are given by name: write SIGTERM`,
		rule("signal: 99"):                                  `line 3, column 11: want the name of a signal such as SIGHUP: put it in quotes`,
		rule("signal: sighup"):                              `line 3, column 11: signals are in upper case: write SIGHUP`,
		rule("signal: KILL"):                                `line 3, column 11: no program can handle SIGKILL: to end and start the container, write restart: true`,
		rule("signal: SIGSEGV"):                             `line 3, column 11: unknown signal: it can be SIGHUP, SIGINT`,
		rule("signal:"):                                     `line 3, column 10: want the name of a signal such as SIGHUP`,
		rule("signal: [HUP]"):                               `line 3, column 11: want the name of a signal`,

		rule("restart: false"): `line 3, column 12: restart is true or left out`,
		rule("restart: yes"):   `line 3, column 12: restart is true or left out`,
		rule("restart: [a]"):   `line 3, column 12: restart is true or left out`,

		rule("exec: nginx -s reload"):             `line 3, column 9: exec is a list of arguments and runs without a shell: write [nginx, -s, reload]`,
		rule(`exec: "a | b; c"`):                  `line 3, column 9: exec is a list of arguments and runs without a shell: write [nginx, -s, reload]`,
		rule("exec: []"):                          `line 3, column 9: exec has 0 arguments, it must have 1 to 128`,
		rule("exec: [sleep, 5]"):                  `line 3, column 17: want an argument: put it in quotes, "5"`,
		rule(`exec: [""]`):                        `line 3, column 10: want the name of a program, not an empty text`,
		rule(`exec: [a, "\0"]`):                   `line 3, column 13: arguments cannot have a NUL character`,
		rule(`exec: [a, {b: c}]`):                 `line 3, column 13: want an argument`,
		rule("exec: [cat, $(LATERNA_CANDIDATE)]"): `line 3, column 9: $(LATERNA_CANDIDATE) is for check only`,
		rule("check: [nginx, -t]"):                `line 3, column 10: no argument has $(LATERNA_CANDIDATE), the directory with the new files`,
		rule("check: [a, $$(LATERNA_CANDIDATE)]"): `line 3, column 10: no argument has $(LATERNA_CANDIDATE)`,

		rule("signal: HUP\n  timeout: 5s"): `line 4, column 12: timeout is for exec and check, this rule has signal`,
		rule("exec: [a]\n  timeout: 5"):    `line 4, column 12: the timeout has no unit: write 5s`,
		rule("exec: [a]\n  timeout: 0.5"):  `line 4, column 12: want a duration such as 10s or 1m30s`,
		rule("exec: [a]\n  timeout: soon"): `line 4, column 12: want a duration such as 10s or 1m30s`,
		rule("exec: [a]\n  timeout: 0s"):   `line 4, column 12: the timeout must be from 1s to 5m0s`,
		rule("exec: [a]\n  timeout: 301s"): `line 4, column 12: the timeout must be from 1s to 5m0s`,
		rule("exec: [a]\n  timeout: -5s"):  `line 4, column 12: the timeout must be from 1s to 5m0s`,
		rule("exec: [a]\n  timeout: 1.5s"): `line 4, column 12: the timeout must be whole seconds`,

		strings.Repeat("- a\n", 65):                         `line 1, column 1: has 65 rules, the limit is 64`,
		strings.Repeat(" ", 32<<10+1):                       `has 32769 bytes, the limit is 32768`,
		rule("exec: [a" + strings.Repeat(", a", 128) + "]"): `line 3, column 9: exec has 129 arguments, it must have 1 to 128`,
		rule("exec: [" + strings.Repeat("a", 4097) + "]"):   `line 3, column 10: the argument has 4097 bytes, the limit is 4096`,
	} {
		rules, err := Parse(text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.80q:\n got %v\nwant %s", text, err, want)
		}
		if rules != nil {
			t.Errorf("%.80q: rules %v beside an error", text, rules)
		}
	}
}

func TestMistakesAreToldTogether(t *testing.T) {
	_, err := Parse("- {volumes: [a], container: b, signal: FOO}\n- {volumes: [a], restart: no}\n")
	errs, ok := err.(Errors)
	if !ok || len(errs) != 3 || errs[0].Value != "FOO" || errs[0].Line != 1 || errs[2].Line != 2 || errs[2].Value != "no" {
		t.Errorf("errors %q", err)
	}
	_, err = Parse(strings.Repeat("- a\n", 60))
	if errs, _ := err.(Errors); len(errs) != maxErrors {
		t.Errorf("%d errors, want the first %d", len(errs), maxErrors)
	}
	_, err = Parse(rule("signal: " + strings.Repeat("ä", 100)))
	if errs, _ := err.(Errors); len(errs) != 1 || len([]rune(errs[0].Value)) != maxValue/2+1 {
		t.Errorf("errors %q", err)
	}
}

func TestCheckCommand(t *testing.T) {
	for arg, want := range map[string]string{
		"$(LATERNA_CANDIDATE)/nginx.conf":              "/etc/x/nginx.conf",
		"-c=$(LATERNA_CANDIDATE):$(LATERNA_CANDIDATE)": "-c=/etc/x:/etc/x",
		"$$(LATERNA_CANDIDATE)":                        "$(LATERNA_CANDIDATE)",
		"$$$(LATERNA_CANDIDATE)":                       "$/etc/x",
		"$$$$(LATERNA_CANDIDATE)":                      "$$(LATERNA_CANDIDATE)",
		"(LATERNA_CANDIDATE)":                          "(LATERNA_CANDIDATE)",
		"$$ $(HOME) $(LATERNA_CANDIDATE":               "$$ $(HOME) $(LATERNA_CANDIDATE",
		"":                                             "",
	} {
		if got := (Rule{Check: []string{arg}}).CheckCommand("/etc/x"); len(got) != 1 || got[0] != want {
			t.Errorf("%q became %q, want %q", arg, got, want)
		}
	}
}

func TestString(t *testing.T) {
	for want, r := range map[string]Rule{
		"signal SIGHUP": {Signal: "SIGHUP"}, "exec nginx": {Exec: []string{"/usr/sbin/nginx", "-s", "reload"}},
		"restart": {Restart: true}, "check sh": {Check: []string{"sh"}}, "nothing": {},
	} {
		if r.String() != want || r.IsCheck() != (want == "check sh") {
			t.Errorf("%+v is %q", r, r)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		rule("signal: SIGHUP"), rule("check: [a, $(LATERNA_CANDIDATE)]\n  timeout: 1m"), rule("restart: true"),
		"- {volumes: [a], container: b, exec: [c]}", "- *a", "&a [*a]", "{", "- !!binary aGk=", "---\n...\n---", "\xef\xbb\xbf[]", "? a\n: b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := Parse(text)
		if err != nil {
			errs, ok := err.(Errors)
			if !ok || len(errs) == 0 || rules != nil {
				t.Fatalf("%v beside error %v", rules, err)
			}
			lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u0085") + strings.Count(text, "\u2028") + strings.Count(text, "\u2029") + 1
			for _, e := range errs {
				if e.Line < 0 || e.Line > lines+1 || e.Column < 0 || e.Message == "" {
					t.Fatalf("error at line %d, column %d of %d lines: %s", e.Line, e.Column, lines, e.Message)
				}
			}
			return
		}
		for _, r := range rules {
			set := 0
			for _, has := range []bool{r.Signal != "", len(r.Exec) > 0, r.Restart, len(r.Check) > 0} {
				if has {
					set++
				}
			}
			command := len(r.Exec)+len(r.Check) > 0
			if set != 1 || len(r.Volumes) == 0 || r.Container == "" || command != (r.Timeout > 0) || r.at.rule.line < 1 {
				t.Fatalf("rule %+v", r)
			}
		}
	})
}
