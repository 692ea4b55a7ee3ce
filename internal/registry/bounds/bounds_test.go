package bounds_test

import (
	"fmt"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/bounds"
)

const (
	js    = "application/json"
	yml   = "application/apply-patch+yaml"
	patch = "application/json-patch+json"
	proto = "application/vnd.kubernetes.protobuf"
)

func kinds(t testing.TB) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, authorizationv1.AddToScheme, rbacv1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func list(element string, n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
}

func entries(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"k%d":"",`, i)
	}
	return "{" + strings.TrimSuffix(b.String(), ",") + "}"
}

// fieldsOf are fields as a manager owns them.
func fieldsOf(n int, falling bool) string {
	var b strings.Builder
	for i := range n {
		if falling {
			i = n - i
		}
		fmt.Fprintf(&b, `"f:k%06d":{},`, i)
	}
	return "{" + strings.TrimSuffix(b.String(), ",") + "}"
}

func owned(fields string) string {
	return `{"metadata":{"managedFields":[{"fieldsV1":{"f:data":` + fields + `}}]}}`
}

func TestTooManyElementsAreRefusedBeforeTheyAreDecoded(t *testing.T) {
	c := bounds.NewCounter(kinds(t))
	for _, tc := range []struct{ name, mediaType, body, want string }{
		{"as many as may be", js, `{"spec":{"containers":` + list("{}", bounds.MaxObjects) + `}}`, ""},
		{"one more", js, `{"kind":"Pod","spec":{"containers":` + list("{}", bounds.MaxObjects+1) + `}}`,
			`Pod "" is invalid: spec.containers: Too many: 10001: must have at most 10000 items`},
		{"a review", js, `{"kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"labelSelector":{"requirements":` + list("{}", 1_000_000) + `}}}}`,
			"spec.resourceAttributes.labelSelector.requirements: Too many: 1000000: must have at most 10000 items"},
		{"nothing counts", js, `{"a":` + list("null", bounds.MaxObjects+1) + `}`, "a: Too many: 10001"},
		{"lists count", js, `{"a":` + list("[]", bounds.MaxObjects+1) + `}`, "a: Too many: 10001"},
		{"in a list", js, `{"a":[{},{"b c":` + list("{}", bounds.MaxObjects+1) + `}]}`, "a[1].b c: Too many: 10001"},
		{"in many lists", js, `{"a":` + list(`{"b":`+list("{}", 9000)+`}`, 4) + `}`, "at most 30000 items in all lists of the object together"},
		{"twice the same", js, `{"a":` + list("{}", 9000) + `,"a":` + list("{}", 9000) + `,"a":` + list("{}", 9000) + `,"a":` + list("{}", 9000) + `}`, "Too many: 36000"},
		{"values", js, `{"args":` + list(`"a"`, bounds.MaxValues) + `}`, ""},
		{"too many values", js, `{"args":` + list(`1`, bounds.MaxValues+1) + `}`, "args: Too many: 100001: must have at most 100000 items"},
		{"values that have owners", js, `{"metadata":{"finalizers":` + list(`"a"`, bounds.MaxMembers+1) + `}}`, "metadata.finalizers: Too many: 10001"},
		{"the same in a directive", js, `{"metadata":{"$setElementOrder/finalizers":` + list(`"a"`, bounds.MaxMembers+1) + `}}`, "Too many: 10001"},
		{"text is no list", js, `{"data":{"k":"[` + strings.Repeat(`{},\"`, 100_000) + `]"}}`, ""},
		{"entries", js, `{"data":` + entries(bounds.MaxEntries) + `}`, ""},
		{"too many entries", js, `{"data":` + entries(bounds.MaxEntries+1) + `}`, "data: Too many: 150001: must have at most 150000 items"},
		{"a patch", patch, `[{"op":"add","path":"/spec/containers","value":` + list("{}", bounds.MaxObjects+1) + `}]`, "Too many: 10001"},
		{"a patch of values", patch, `[{"op":"add","path":"/metadata/finalizers","value":` + list(`"a"`, bounds.MaxMembers+1) + `}]`, "Too many: 10001"},
		{"JSON as YAML", yml, `{"a":` + list("{}", bounds.MaxObjects+1) + `}`, "a: Too many: 10001"},
		{"YAML", yml, "a:\n" + strings.Repeat("- {}\n", bounds.MaxObjects+1), "a: Too many: 10001"},
		{"YAML that looks like JSON", yml, `{a: '"', b: ` + list("{}", bounds.MaxObjects+1) + `, c: '"'}`, "b: Too many: 10001"},
		{"aliases", yml, "a: &a " + list("{}", 5000) + "\nb:\n" + strings.Repeat("- *a\n", 10), "Too many: 55"},
		{"no JSON", js, strings.Repeat("{,]", 30_000), ""},
		{"an end without a beginning", js, strings.Repeat("],", 30_000), ""},
		{"an open text", js, `{"a":"` + strings.Repeat(",", 30_000), ""},
		{"entries in another patch", "application/merge-patch+json", `{"data":` + entries(bounds.MaxApplied+1) + `}`, ""},
		{"entries in apply", yml, `{"data":` + entries(bounds.MaxApplied) + `}`, ""},
		{"too many entries in apply", yml, `{"data":` + entries(bounds.MaxApplied+1) + `}`, "server-side apply takes maps of at most 20000 entries"},
		{"deep", js, `{"a":"` + strings.Repeat("x", 10_000) + `","b":` + strings.Repeat("[", bounds.MaxDepth-1) + strings.Repeat("]", bounds.MaxDepth-1) + `}`, ""},
		{"too deep", js, strings.Repeat(`{"long name":`, bounds.MaxDepth+1) + "1" + strings.Repeat("}", bounds.MaxDepth+1), "nested more than 1000 levels deep"},
		{"fields in order", js, owned(fieldsOf(50_000, false)), ""},
		{"fields out of order", js, owned(fieldsOf(50_000, true)), "must be in order"},
		{"other members out of order", js, `{"a":` + fieldsOf(50_000, true) + `}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := c.Check(tc.mediaType, schema.GroupKind{Kind: "things"}, []byte(tc.body))
			if tc.want == "" && err != nil || tc.want != "" && (!apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func ownedBy(fields string) metav1.ObjectMeta {
	return metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}}}
}

func TestProtobufIsCountedByKind(t *testing.T) {
	s := kinds(t)
	c := bounds.NewCounter(s)
	many := make([]corev1.Container, bounds.MaxObjects+1)
	data := map[string]string{}
	for i := range 50_000 {
		data[fmt.Sprint(i)] = ""
	}
	text := metav1.ObjectMeta{Annotations: map[string]string{"a": strings.Repeat("\n\x00", 100_000)}}
	rules := []rbacv1.PolicyRule{{}, {ResourceNames: make([]string, bounds.MaxValues+1)}}
	requirements := make([]metav1.LabelSelectorRequirement, 1_000_000)
	for _, tc := range []struct {
		name string
		obj  runtime.Object
		want string
	}{
		{"as many as may be", &corev1.Pod{Spec: corev1.PodSpec{Containers: many[1:]}}, ""},
		{"one more", &corev1.Pod{Spec: corev1.PodSpec{Containers: many}}, `Pod "" is invalid: spec.containers: Too many: 10001: must have at most 10000 items`},
		{"entries", &corev1.ConfigMap{Data: data}, ""},
		{"text that looks like a message", &corev1.ConfigMap{ObjectMeta: text}, ""},
		{"values", &rbacv1.Role{Rules: rules}, "rules[1].resourceNames: Too many: 100001"},
		{"finalizers", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Finalizers: make([]string, bounds.MaxMembers+1)}}, "metadata.finalizers: Too many: 10001"},
		{"fields in order", &corev1.ConfigMap{ObjectMeta: ownedBy(fieldsOf(50_000, false))}, ""},
		{"fields out of order", &corev1.ConfigMap{ObjectMeta: ownedBy(fieldsOf(50_000, true))}, "must be in order"},
		{"a review", &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			LabelSelector: &authorizationv1.LabelSelectorAttributes{Requirements: requirements}}}}, "spec.resourceAttributes.labelSelector.requirements: Too many: 1000000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kinds, _, err := s.ObjectKinds(tc.obj)
			if err != nil {
				t.Fatal(err)
			}
			info, _ := runtime.SerializerInfoForMediaType(serializer.NewCodecFactory(s).SupportedMediaTypes(), proto)
			for _, gvk := range []schema.GroupVersionKind{kinds[0], {}} { // a client need not say the kind
				tc.obj.GetObjectKind().SetGroupVersionKind(gvk)
				raw, err := runtime.Encode(info.Serializer, tc.obj)
				if err != nil {
					t.Fatal(err)
				}
				err = c.Check(proto, schema.GroupKind{Kind: "things"}, raw)
				want := tc.want
				if gvk.Empty() && strings.Contains(want, "Too many") {
					want = "Too many: "
				}
				if want == "" && !gvk.Empty() && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("%s: %v, want %q", gvk, err, want)
				}
			}
		})
	}
}

func TestAnswersListSoManyErrors(t *testing.T) {
	var errs field.ErrorList
	for i := range 1_000_000 {
		errs = append(errs, field.Required(field.NewPath("spec").Index(i), ""))
	}
	err := bounds.Invalid(schema.GroupKind{Kind: "Pod"}, "p", errs)
	if n := len(err.ErrStatus.Details.Causes); n != bounds.MaxErrors+1 {
		t.Errorf("%d causes", n)
	}
	if text := err.Error(); len(text) > 10_000 || !strings.HasSuffix(text, "spec[100]: Too many: only the first 100 errors are listed]") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	large := field.ErrorList{field.Invalid(field.NewPath("a"), strings.Repeat("x", 1<<20), "m"), field.Invalid(field.NewPath("b"), "y", "m")}
	if text := bounds.Invalid(schema.GroupKind{Kind: "Pod"}, "p", large).Error(); !strings.Contains(text, "a: Invalid value: m") || len(text) > 1000 {
		t.Errorf("%d bytes: %.1000s", len(text), text)
	}
	few := field.ErrorList{field.Required(field.NewPath("a"), "")}
	if got := bounds.Errors(few); len(got) != 1 || got[0] != few[0] {
		t.Errorf("%v", got)
	}
}

func TestMetadataKeepsWhatIsWrong(t *testing.T) {
	wrong := map[string]string{}
	for i := range 100_000 {
		wrong[fmt.Sprintf("-%d", i)] = ""
	}
	right := map[string]string{}
	for i := range 1000 {
		right[fmt.Sprintf("k%d", i)] = ""
	}
	right["-"] = ""
	if n := len(bounds.Metadata(&metav1.ObjectMeta{Labels: wrong}).GetLabels()); n != bounds.MaxErrors+1 {
		t.Errorf("%d labels are left", n)
	}
	if n := len(bounds.Metadata(&metav1.ObjectMeta{Annotations: right}).GetAnnotations()); n != len(right) {
		t.Errorf("of right annotations %d are left", n)
	}
	if errs := bounds.MetadataMistakes(&metav1.ObjectMeta{Labels: wrong}); !bounds.Full(errs) || len(errs) > 5*bounds.MaxErrors {
		t.Errorf("%d mistakes", len(errs))
	}
	if errs := bounds.MetadataMistakes(&metav1.ObjectMeta{Labels: right}); errs != nil {
		t.Errorf("%v", errs)
	}
}

func TestPatchesFitTheirObject(t *testing.T) {
	const strategic, merge = "application/strategic-merge-patch+json", "application/merge-patch+json"
	env := func(n int) string { return `{"spec":{"containers":[{"name":"c","env":` + list("{}", n) + `}]}}` }
	pod := func(n int) runtime.Object {
		return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Env: make([]corev1.EnvVar, n), Args: make([]string, 100_000)}}}}
	}
	data := map[string]string{}
	for i := range bounds.MaxApplied + 1 {
		data[fmt.Sprint(i)] = ""
	}
	large := &corev1.ConfigMap{Data: data}
	for name, tc := range map[string]struct {
		mediaType, body string
		obj             runtime.Object
		refused         bool
	}{
		"few into many":             {strategic, env(90), pod(10_000), false},
		"many into few":             {strategic, env(2000), pod(10), false},
		"a thousand into its like":  {strategic, env(1000), pod(1000), false},
		"many into many":            {strategic, env(1000), pod(10_000), true},
		"many in another order":     {strategic, `{"$setElementOrder/env":` + list("{}", 10_000) + `}`, pod(10_000), true},
		"many values that are kept": {strategic, `{"metadata":{"finalizers":` + list(`"a"`, 10_000) + `}}`, large, true},
		"many values that are not":  {strategic, `{"args":` + list(`"a"`, 100_000) + `}`, pod(10), false},
		"another patch":             {merge, env(10_000), pod(10_000), false},
		"apply to many entries":     {yml, `{"data":{}}`, large, true},
		"a patch of many entries":   {merge, `{"data":{}}`, large, false},
		"apply to few entries":      {yml, `{"data":{}}`, &corev1.ConfigMap{Data: map[string]string{"a": strings.Repeat("x", 1_000_000)}}, false},
	} {
		ctx := bounds.WithPatch(t.Context(), tc.mediaType, []byte(tc.body))
		if err := bounds.Patchable(ctx, schema.GroupResource{Resource: "things"}, tc.obj); (err != nil) != tc.refused || err != nil && !apierrors.IsBadRequest(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := bounds.Patchable(t.Context(), schema.GroupResource{}, large); err != nil {
		t.Errorf("no patch: %v", err)
	}
}

// FuzzCheck decodes what passes into lists that must not be long.
func FuzzCheck(f *testing.F) {
	f.Add(js, []byte(`{"spec":{"containers":[{},null,[1,"a"]]},"kind":"Pod"}`))
	f.Add(yml, []byte("a: [{}, *a]\n"))
	f.Add(proto, []byte("k8s\x00\x0a\x02\x12\x00"))
	c := bounds.NewCounter(kinds(f))
	f.Fuzz(func(_ *testing.T, mediaType string, body []byte) {
		_ = c.Check(mediaType, schema.GroupKind{}, append(body, make([]byte, bounds.MaxMembers)...))
	})
}
