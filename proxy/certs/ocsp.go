package certs

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// staple is an OCSP response (RFC 6960) of a file. Its signature is left to the clients, which
// trust nobody's word for it. It is immutable.
type staple struct {
	file    string
	digest  [sha256.Size]byte
	raw     []byte
	answers []answer
}

// answer is what a response says about one certificate.
type answer struct {
	hash       crypto.Hash
	issuerName []byte // hashed
	serial     *big.Int
	status     int // tag of CertStatus
	from       time.Time
	until      time.Time // zero: newer information is always available, so the answer has no end
}

// Tags of CertStatus (RFC 6960, section 4.2.1).
const (
	statusGood    = 0
	statusRevoked = 1
)

// readStaple reads an OCSP response. If the file is as it was for before, which may be nil, it
// returns that.
func readStaple(path string, before *staple) (*staple, error) {
	raw, err := readFile("OCSP response", path)
	if err != nil {
		return nil, err
	}
	digest := digestOf(raw)
	if before != nil && before.digest == digest {
		return before, nil
	}
	answers, err := parseOCSP(raw)
	if err != nil {
		return nil, fmt.Errorf("OCSP response %s: %w: fetch it again with openssl ocsp -respout", path, err)
	}
	return &staple{file: path, digest: digest, raw: raw, answers: answers}, nil
}

type ocspResponse struct {
	Status asn1.Enumerated
	Bytes  struct {
		Type     asn1.ObjectIdentifier
		Response []byte
	} `asn1:"explicit,tag:0,optional"`
}

type basicResponse struct {
	Data struct {
		Version   int `asn1:"explicit,tag:0,default:0,optional"`
		Responder asn1.RawValue
		Produced  time.Time `asn1:"generalized"`
		Answers   []singleResponse
	}
}

type singleResponse struct {
	ID struct {
		Hash struct {
			Algorithm asn1.ObjectIdentifier
		}
		IssuerName []byte
		IssuerKey  []byte
		Serial     *big.Int
	}
	Status     asn1.RawValue
	ThisUpdate time.Time `asn1:"generalized"`
	NextUpdate time.Time `asn1:"generalized,explicit,tag:0,optional"`
}

var oidBasicResponse = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}

// hashes are those that identify certificates in OCSP.
var hashes = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, crypto.SHA1},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
}

// parseOCSP reads the answers of a successful response in DER form, of which there is at least one.
// Those with a hash that is not known are left out.
func parseOCSP(der []byte) ([]answer, error) {
	var r ocspResponse
	if rest, err := asn1.Unmarshal(der, &r); err != nil || len(rest) > 0 {
		return nil, errors.New("is not an OCSP response in DER form")
	}
	if r.Status != 0 {
		return nil, fmt.Errorf("the responder refused to answer, status %d", r.Status)
	}
	if !r.Bytes.Type.Equal(oidBasicResponse) {
		return nil, errors.New("is not a basic OCSP response")
	}
	var basic basicResponse
	if _, err := asn1.Unmarshal(r.Bytes.Response, &basic); err != nil {
		return nil, fmt.Errorf("is not a basic OCSP response: %w", err)
	}
	var answers []answer
	for _, s := range basic.Data.Answers {
		if s.Status.Class != asn1.ClassContextSpecific {
			return nil, errors.New("has an answer without a status")
		}
		for _, h := range hashes {
			if s.ID.Hash.Algorithm.Equal(h.oid) {
				answers = append(answers, answer{hash: h.hash, issuerName: s.ID.IssuerName, serial: s.ID.Serial,
					status: s.Status.Tag, from: s.ThisUpdate, until: s.NextUpdate})
			}
		}
	}
	if len(answers) == 0 {
		return nil, errors.New("has no answer")
	}
	return answers, nil
}

// about finds the answer about a certificate, nil if there is none.
func (s *staple) about(c *x509.Certificate) *answer {
	for i := range s.answers {
		a := &s.answers[i]
		h := a.hash.New()
		h.Write(c.RawIssuer)
		if a.serial.Cmp(c.SerialNumber) == 0 && bytes.Equal(a.issuerName, h.Sum(nil)) {
			return a
		}
	}
	return nil
}

// fault says why clients must not be shown the answer at a time; "" if there is no reason.
func (a *answer) fault(now time.Time) string {
	switch {
	case a.status == statusRevoked:
		return "says that the certificate is revoked: replace the certificate"
	case a.status != statusGood:
		return "says that the certificate is unknown: fetch it from the responder of its issuer"
	case now.Before(a.from):
		return "is not valid before " + a.from.UTC().Format(time.RFC3339) + ": check the clock of this machine"
	case !a.until.IsZero() && !now.Before(a.until):
		return "ended at " + a.until.UTC().Format(time.RFC3339) + ": fetch it again"
	}
	return ""
}
