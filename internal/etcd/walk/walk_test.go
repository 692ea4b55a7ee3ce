package walk

import "testing"

func TestPlace(t *testing.T) {
	for key, want := range map[string][2]string{
		"secrets/default/s":                  {"secrets", "default/s"},
		"nodes/a.example.com":                {"nodes", "a.example.com"},
		"health":                             {"health", ""},
		"shop.example.com/widgets/default/a": {"shop.example.com/widgets", "default/a"},
		"apiextensions.k8s.io/customresourcedefinitions/widgets.shop.example.com": {"apiextensions.k8s.io/customresourcedefinitions", "widgets.shop.example.com"},
	} {
		if place, rest := Place(key); place != want[0] || rest != want[1] {
			t.Errorf("%s is %q at %q, want %q", key, rest, place, want)
		}
	}
}
