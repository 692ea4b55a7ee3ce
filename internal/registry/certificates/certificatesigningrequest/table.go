package certificatesigningrequest

import (
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"laterna.dev/laterna/internal/registry/resource"
)

func columns() resource.Columns[*csr] {
	spec := certificatesv1.CertificateSigningRequestSpec{}.SwaggerDoc()
	return resource.Columns[*csr]{
		Columns: []resource.Column{
			resource.Name(), resource.AgeColumn(),
			{Name: "SignerName", Type: "string", Description: spec["signerName"]},
			{Name: "Requestor", Type: "string", Description: spec["username"]},
			{Name: "RequestedDuration", Type: "string", Description: spec["expirationSeconds"]},
			{Name: "Condition", Type: "string", Description: certificatesv1.CertificateSigningRequestStatus{}.SwaggerDoc()["conditions"]},
		},
		Row: func(r *csr) []any {
			life := "<none>"
			if r.Spec.ExpirationSeconds != nil {
				life = duration.HumanDuration(time.Duration(*r.Spec.ExpirationSeconds) * time.Second)
			}
			return []any{r.Name, resource.Age(r), r.Spec.SignerName, r.Spec.Username, life, state(&r.Status)}
		},
	}
}

func state(s *certificatesv1.CertificateSigningRequestStatus) string {
	has := map[certificatesv1.RequestConditionType]bool{}
	for _, c := range s.Conditions {
		has[c.Type] = true
	}
	text := "Pending"
	switch {
	case has[certificatesv1.CertificateDenied]:
		text = "Denied"
	case has[certificatesv1.CertificateApproved]:
		text = "Approved"
	}
	if has[certificatesv1.CertificateFailed] {
		text += ",Failed"
	}
	if len(s.Certificate) > 0 {
		text += ",Issued"
	}
	return text
}
