package persistentvolumeclaim

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func claim(change ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Resources: size("1Gi"),
	}}
	for _, f := range change {
		f(c)
	}
	SetDefaults(c)
	return c
}

func size(q string) corev1.VolumeResourceRequirements {
	return corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(q)}}
}

func TestWhatIsWrong(t *testing.T) {
	modes := func(m ...corev1.PersistentVolumeAccessMode) func(*corev1.PersistentVolumeClaimSpec) {
		return func(s *corev1.PersistentVolumeClaimSpec) { s.AccessModes = m }
	}
	for name, tc := range map[string]struct {
		change func(*corev1.PersistentVolumeClaimSpec)
		want   string
	}{
		"right":      {func(*corev1.PersistentVolumeClaimSpec) {}, ""},
		"no modes":   {modes(), "spec.accessModes: Required value: at least 1 access mode is required"},
		"odd mode":   {modes("Write"), `spec.accessModes: Unsupported value: "Write": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"`},
		"not alone":  {modes("ReadWriteOnce", "ReadWriteOncePod"), "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"},
		"no size":    {func(s *corev1.PersistentVolumeClaimSpec) { s.Resources.Requests = nil }, "spec.resources[storage]: Required value"},
		"nothing":    {func(s *corev1.PersistentVolumeClaimSpec) { s.Resources = size("0") }, `spec.resources[storage]: Invalid value: "0": must be greater than zero`},
		"class":      {func(s *corev1.PersistentVolumeClaimSpec) { s.StorageClassName = new("A_b") }, `spec.storageClassName: Invalid value: "A_b"`},
		"attributes": {func(s *corev1.PersistentVolumeClaimSpec) { s.VolumeAttributesClassName = new("A_b") }, `spec.volumeAttributesClassName: Invalid value: "A_b"`},
		"mode":       {func(s *corev1.PersistentVolumeClaimSpec) { s.VolumeMode = new(corev1.PersistentVolumeMode("Tape")) }, `spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"`},
		"source": {func(s *corev1.PersistentVolumeClaimSpec) {
			s.DataSource = &corev1.TypedLocalObjectReference{Kind: "Secret", Name: "s"}
		}, `spec.dataSource: Invalid value: "Secret": must be 'PersistentVolumeClaim' when referencing the default apiGroup`},
		"two sources": {func(s *corev1.PersistentVolumeClaimSpec) {
			s.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "a"}
			s.DataSourceRef = &corev1.TypedObjectReference{Kind: "PersistentVolumeClaim", Name: "b"}
		}, `spec: Invalid value: "spec.dataSource": must match dataSourceRef`},
	} {
		c := claim(func(c *corev1.PersistentVolumeClaim) { tc.change(&c.Spec) })
		errs := ValidateSpec(&c.Spec, field.NewPath("spec"))
		if got := fmt.Sprint(errs.ToAggregate()); (tc.want == "") != (len(errs) == 0) || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestClaimsStayAsTheyWereMade(t *testing.T) {
	bound := func(c *corev1.PersistentVolumeClaim) {
		c.Spec.VolumeName = "v"
		c.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}
	}
	const immutable = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"
	for name, tc := range map[string]struct {
		old  *corev1.PersistentVolumeClaim
		to   func(*corev1.PersistentVolumeClaim)
		want string
	}{
		"labels":        {claim(), func(c *corev1.PersistentVolumeClaim) { c.Labels = map[string]string{"a": "b"} }, ""},
		"bound":         {claim(), func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }, ""},
		"bound anew":    {claim(bound), func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "w" }, immutable},
		"waits, larger": {claim(), func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources = size("2Gi") }, immutable},
		"bound, larger": {claim(bound), func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources = size("2Gi") }, ""},
		"smaller":       {claim(bound), func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources = size("1Mi") }, "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"},
		"class":         {claim(), func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = new("fast") }, immutable},
	} {
		now := tc.old.DeepCopy()
		tc.to(now)
		errs := validateUpdate(now, tc.old)
		if got := fmt.Sprint(errs.ToAggregate()); (tc.want == "") != (len(errs) == 0) || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestShown(t *testing.T) {
	d, c := Definition(), claim()
	c.Status.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany, corev1.ReadWriteOnce}
	if row := d.Columns.Row(c); fmt.Sprintf("%q", row) != `["data" "Pending" "" "" "" "" "<unset>" "<unknown>" "Filesystem"]` || len(row) != len(d.Columns.Columns) {
		t.Errorf("row %q", row)
	}
	c.Spec.VolumeName, c.Spec.StorageClassName, c.Status.Capacity = "v", new("fast"), c.Spec.Resources.Requests
	if row := d.Columns.Row(c); fmt.Sprintf("%q", row) != `["data" "Pending" "v" "1Gi" "RWO,RWX" "fast" "<unset>" "<unknown>" "Filesystem"]` {
		t.Errorf("row %q", row)
	}
	if texts := d.Rules.WarnCreate(t.Context(), c); len(texts) != 1 || texts[0] != Unserved {
		t.Errorf("warnings %q", texts)
	}
	c.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "a"}
	d.Rules.PrepareCreate(t.Context(), c)
	if c.Spec.DataSourceRef == nil || c.Spec.DataSourceRef.Name != "a" || c.Status.Capacity != nil || c.Status.Phase != corev1.ClaimPending {
		t.Errorf("stored %+v", c)
	}
}
