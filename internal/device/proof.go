package device

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
)

const (
	maxProof   = 4096 // bytes
	coordinate = 32   // bytes
)

// A Proof is a challenge that was signed by a device.
type Proof struct {
	Challenge string
	Key       *ecdsa.PublicKey // in its header; nil if there is none

	signed    []byte
	signature []byte
}

var (
	errForm = errors.New("not a JWT of the form that the draft demands")
	errKey  = errors.New("the key is not on the curve P-256")
)

// ParseProof reads the JWT of the header Secure-Session-Response. It does not tell whether the signature is right. There
// is one algorithm, which the header cannot choose.
func ParseProof(text string) (*Proof, error) {
	text = Unquoted(text)
	if len(text) > maxProof { // before it is cut to pieces, of which there may be as many
		return nil, errForm
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, errForm
	}
	var header struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
		Critical  any    `json:"crit"` // extensions, none of which is known here: RFC 7515, section 4.1.11
		Key       *struct {
			Type  string `json:"kty"`
			Curve string `json:"crv"`
			X     string `json:"x"`
			Y     string `json:"y"`
		} `json:"jwk"`
	}
	var claims struct {
		Challenge string `json:"jti"`
	}
	signature, err := encoding.DecodeString(parts[2])
	if err != nil || !decode(parts[0], &header) || !decode(parts[1], &claims) || len(signature) != 2*coordinate {
		return nil, errForm
	}
	if header.Algorithm != "ES256" || header.Type != "dbsc+jwt" || header.Critical != nil || claims.Challenge == "" {
		return nil, errForm
	}
	p := &Proof{Challenge: claims.Challenge, signed: []byte(parts[0] + "." + parts[1]), signature: signature}
	if header.Key == nil {
		return p, nil
	}
	if header.Key.Type != "EC" || header.Key.Curve != "P-256" {
		return nil, errKey
	}
	if p.Key, err = publicKey(header.Key.X, header.Key.Y); err != nil {
		return nil, err
	}
	return p, nil
}

func decode(part string, dst any) bool {
	raw, err := encoding.DecodeString(part)
	return err == nil && json.Unmarshal(raw, dst) == nil
}

func publicKey(x, y string) (*ecdsa.PublicKey, error) {
	point := []byte{4}
	for _, text := range []string{x, y} {
		raw, err := encoding.DecodeString(text)
		if err != nil || len(raw) != coordinate {
			return nil, errKey
		}
		point = append(point, raw...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, errKey
	}
	return key, nil
}

// IsSignedBy reports whether the signature is that of a key.
func (p *Proof) IsSignedBy(key *ecdsa.PublicKey) bool {
	if key == nil {
		return false
	}
	digest := sha256.Sum256(p.signed)
	r, s := new(big.Int).SetBytes(p.signature[:coordinate]), new(big.Int).SetBytes(p.signature[coordinate:])
	return ecdsa.Verify(key, digest[:], r, s)
}

// Unquoted returns the text of a string of RFC 9651. Chrome sends some without the quotes.
func Unquoted(text string) string {
	if inner, ok := strings.CutPrefix(text, `"`); ok {
		if inner, ok := strings.CutSuffix(inner, `"`); ok {
			return inner
		}
	}
	return text
}
