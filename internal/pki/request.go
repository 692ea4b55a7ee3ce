package pki

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	// LongestRequest is how long a request in PEM may be, in bytes. A key of 8192 bits and a hundred
	// names take a tenth of it.
	LongestRequest = 64 << 10
	// largestKey is how many bits an RSA key may have: no TLS of Go takes a greater one, and the
	// time to verify its signature grows with the square.
	largestKey = 8192
)

// ParseRequest reads a request for a certificate in PEM (PKCS #10). Nothing is verified.
func ParseRequest(text []byte) (*x509.CertificateRequest, error) {
	if len(text) > LongestRequest {
		return nil, fmt.Errorf("the request is longer than %d bytes", LongestRequest)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

// VerifyRequest tells whether who made a request has its key.
func VerifyRequest(r *x509.CertificateRequest) error {
	if key, ok := r.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > largestKey {
		return fmt.Errorf("RSA keys must not have more than %d bits", largestKey)
	}
	return r.CheckSignature()
}
