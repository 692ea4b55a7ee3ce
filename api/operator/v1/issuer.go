package v1

// ActiveIssuer returns the issuer of new tokens, the one that does not end; "" where
// nobody has filled it in.
func (s *KubeAPIServerStatus) ActiveIssuer() string {
	for i := range s.ServiceAccountIssuers {
		if s.ServiceAccountIssuers[i].ExpirationTime == nil {
			return s.ServiceAccountIssuers[i].Name
		}
	}
	return ""
}
