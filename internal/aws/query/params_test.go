package query_test

import (
	"net/url"
	"strings"
	"testing"

	"laterna.dev/laterna/internal/aws/query"
)

func params(t *testing.T, form string) *query.Params {
	t.Helper()
	values, err := url.ParseQuery(form)
	if err != nil {
		t.Fatal(err)
	}
	return query.NewParams(values)
}

func said(t *testing.T, p *query.Params, want string) {
	t.Helper()
	got := ""
	if err := p.Err(); err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("said\n%s\nwant\n%s", got, want)
	}
}

func TestBrokenConstraintsAreGatheredInOneAnswer(t *testing.T) {
	name := query.NewPattern(`[\w+=,.@-]*`)
	read := func(form string) *query.Params {
		p := params(t, form)
		p.Text("RoleArn", query.Text{Required: true, Min: 20, Max: 2048})
		p.Text("RoleSessionName", query.Text{Required: true, Min: 2, Max: 64, Pattern: name})
		p.Number("DurationSeconds", 900, 43200, 3600)
		return p
	}
	arn := "RoleArn=" + strings.Repeat("a", 20)
	for form, want := range map[string]string{
		arn + "&RoleSessionName=ab":                            "",
		arn + "&RoleSessionName=a%25s b":                       `ValidationError: 1 validation error detected: Value 'a%s b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`,
		arn + "&RoleSessionName=ab%0A":                         "ValidationError: 1 validation error detected: Value 'ab\n' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*",
		"RoleSessionName=a":                                    `ValidationError: 2 validation errors detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null; Value 'a' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2`,
		"RoleArn=" + "&RoleSessionName=abc":                    `ValidationError: 1 validation error detected: Value '' at 'roleArn' failed to satisfy constraint: Member must have length greater than or equal to 20`,
		arn + "&RoleSessionName=ab&DurationSeconds=899":        `ValidationError: 1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900`,
		arn + "&RoleSessionName=ab&DurationSeconds=43201":      `ValidationError: 1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200`,
		arn + "&RoleSessionName=ab&DurationSeconds=0900":       "",
		arn + "&RoleSessionName=ab&DurationSeconds=%2B900":     "",
		arn + "&RoleSessionName=ab&DurationSeconds=+900+":      "MalformedInput: STRING_VALUE can not be converted to an Integer",
		arn + "&RoleSessionName=ab&DurationSeconds=900.0":      "MalformedInput: STRING_VALUE can not be converted to an Integer",
		arn + "&RoleSessionName=ab&DurationSeconds=9e2":        "MalformedInput: STRING_VALUE can not be converted to an Integer",
		arn + "&RoleSessionName=ab&DurationSeconds=2147483648": "MalformedInput: STRING_VALUE can not be converted to an Integer",
	} {
		t.Run(form, func(t *testing.T) { said(t, read(form), want) })
	}
}

func TestListsAreReadAsAWSReadsThem(t *testing.T) {
	for form, want := range map[string]struct{ list, said string }{
		"":                           {"nil", ""},
		"L=":                         {"", ""},
		"Other=":                     {"nil", ""},
		"L.member.2=b&L.member.1=a":  {"a,b", ""},
		"L.member.01=a":              {"a", ""},
		"L.member.1=a&L.member.01=b": {"b", ""},
		"L.member.%2B1=a":            {"", "MalformedInput: Start of list found where not expected"},
		"L.member.one=a":             {"", "MalformedInput: Start of list found where not expected"},
		"L.1=a":                      {"", "MalformedInput: Start of list found where not expected"},
		"L.member.0=a":               {"", "MalformedInput: 0 is not a valid index"},
		"L.member.-1=a":              {"", "MalformedInput: Key -1 may not have a leading '-'"},
		"L.member.1=a&L.member.13=b": {"", "MalformedInput: Excessively sparse input would skip 11 list elements"},
		"L.member.1=a&L.member.99999999999999999999=b":        {"a", "MalformedInput: Start of list found where not expected"},
		"L.member.1=a&L.member.3=b":                           {"a,b", "ValidationError: 1 validation error detected: Value at 'l' failed to satisfy constraint: Member must not be null"},
		"L.member.1=a&L.member.2=b&L.member.3=c&L.member.4=d": {"a,b,c", "ValidationError: 1 validation error detected: Value at 'l' failed to satisfy constraint: Member must have length less than or equal to 3"},
		"L.member.1=toolong":                                  {"toolong", "ValidationError: 1 validation error detected: Value at 'l' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 2]"},
	} {
		t.Run(form, func(t *testing.T) {
			p := params(t, form)
			list := p.Texts("L", 3, query.Text{Max: 2})
			got := strings.Join(list, ",")
			if list == nil && want.said == "" {
				got = "nil"
			}
			if got != want.list {
				t.Errorf("read %s, want %s", got, want.list)
			}
			said(t, p, want.said)
		})
	}
}

func TestStructuresSayWhichMemberIsWrong(t *testing.T) {
	p := params(t, "Tags.member.1.Key=&Tags.member.1.Value=v&Tags.member.2.Key=k")
	tags := p.Structures("Tags", 50)
	if len(tags) != 2 {
		t.Fatal(len(tags))
	}
	for _, tag := range tags {
		tag.Text("Key", query.Text{Required: true, Min: 1, Hidden: true})
		tag.Text("Value", query.Text{Required: true})
	}
	said(t, p, "ValidationError: 2 validation errors detected: Value at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1; Value null at 'tags.2.member.value' failed to satisfy constraint: Member must not be null")
}

func TestBooleansAndEnumerations(t *testing.T) {
	p := params(t, "A=true&B=0&C=x&S=No")
	if !p.Bool("A") || p.Bool("B") || p.Bool("D") {
		t.Error("read otherwise")
	}
	p.Text("S", query.Text{Enum: []string{"All", "AWS"}})
	said(t, p, "ValidationError: 1 validation error detected: Value 'No' at 's' failed to satisfy constraint: Member must satisfy enum value set: [All, AWS]")
	p.Bool("C")
	said(t, p, "MalformedInput: STRING_VALUE can not be converted to a Boolean")
}

func FuzzParams(f *testing.F) {
	for _, seed := range []string{"L.member.1=a&L.member.13=b", "Tags.member.1.Key=k", "N=+900", "L.member.-1", "L=%s&L.member.%25=1", "Tags.member.18446744073709551616.Key=x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		p := query.NewParams(values)
		if n := len(p.Texts("L", 10, query.Text{Max: 20})); n > 1000 {
			t.Errorf("%d members", n)
		}
		for _, s := range p.Structures("Tags", 50) {
			s.Text("Key", query.Text{Required: true, Min: 1, Max: 128})
		}
		if n := p.Number("N", 900, 43200, 3600); p.Err() == nil && (n < 900 || n > 43200) {
			t.Errorf("%d passed", n)
		}
		p.Err()
	})
}
