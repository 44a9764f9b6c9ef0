package device

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

// A signer makes proofs, well and badly.
type signer struct {
	*ecdsa.PrivateKey
	x, y string // of the public key
}

func newSigner(t testing.TB) *signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return &signer{key, encoding.EncodeToString(point[1:33]), encoding.EncodeToString(point[33:])}
}

// jwk is the key as it stands in a header.
func (s *signer) jwk() string {
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}`, s.x, s.y)
}

// sign returns the JWT of these texts.
func (s *signer) sign(header, claims string) string {
	text := encoding.EncodeToString([]byte(header)) + "." + encoding.EncodeToString([]byte(claims))
	digest := sha256.Sum256([]byte(text))
	r, v, _ := ecdsa.Sign(rand.Reader, s.PrivateKey, digest[:]) // never fails
	return text + "." + encoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...))
}

// signedBy returns the JWT with another signature.
func signedBy(token string, signature []byte) string {
	return token[:strings.LastIndexByte(token, '.')+1] + encoding.EncodeToString(signature)
}

// isProof reports whether a text is taken for a proof by the key in its header.
func isProof(text string) bool {
	p, err := ParseProof(text)
	return err == nil && p.Key != nil && p.IsSignedBy(p.Key)
}

const claims = `{"jti":"c"}`

func TestProofIsTaken(t *testing.T) {
	s := newSigner(t)
	header := `{"alg":"ES256","typ":"dbsc+jwt","jwk":` + s.jwk() + `}`
	for _, text := range []string{
		s.sign(header, claims), `"` + s.sign(header, claims) + `"`, s.sign(` `+header+` `, claims),
		s.sign(header, `{"jti":"c","aud":"https://example.com","iat":1,"authorization":"x","key":{}}`),
		s.sign(`{"alg":"ES256","typ":"dbsc+jwt","kid":"../../dev/null","jku":"https://evil.example","x5u":"x","jwk":`+s.jwk()+`}`, claims), // nobody looks there
	} {
		if !isProof(text) {
			t.Errorf("not taken: %s", text)
		}
	}
}

// These are the faults that libraries of JWT have had, each with one that had it.
func TestFaultsOfOtherLibrariesOfJWT(t *testing.T) {
	s := newSigner(t)
	header := func(alg string) string { return `{"alg":"` + alg + `","typ":"dbsc+jwt","jwk":` + s.jwk() + `}` }
	good := s.sign(header("ES256"), claims)
	unsigned := func(alg string) string { return signedBy(s.sign(header(alg), claims), nil) }
	hmacOf := func(secret []byte) string {
		token := s.sign(header("HS256"), claims)
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(token[:strings.LastIndexByte(token, '.')]))
		return signedBy(token, m.Sum(nil))
	}
	point, _ := s.PublicKey.Bytes()
	p, _ := ParseProof(good)
	n := elliptic.P256().Params().N
	key := func(jwk string) string { return s.sign(`{"alg":"ES256","typ":"dbsc+jwt","jwk":`+jwk+`}`, claims) }
	for name, text := range map[string]string{
		"alg none, CVE-2022-23540":     unsigned("none"),
		"alg nOnE":                     unsigned("nOnE"),
		"no alg":                       s.sign(`{"typ":"dbsc+jwt","jwk":`+s.jwk()+`}`, claims),
		"no signature, CVE-2020-28042": signedBy(good, nil),
		"the public key as an HMAC's, CVE-2016-10555":  hmacOf(point),
		"a MAC without a secret, CVE-2019-20933":       hmacOf(nil),
		"ES384":                                        s.sign(header("ES384"), claims),
		"another type":                                 s.sign(`{"alg":"ES256","typ":"JWT","jwk":`+s.jwk()+`}`, claims),
		"zeros as a signature, CVE-2022-21449":         signedBy(good, make([]byte, 64)),
		"the order as a signature, CVE-2022-21449":     signedBy(good, append(n.FillBytes(make([]byte, 32)), n.FillBytes(make([]byte, 32))...)),
		"values beyond the order, CVE-2020-13822":      signedBy(good, bytes.Repeat([]byte{0xff}, 64)),
		"a signature in DER, CVE-2020-14966":           signedBy(good, append([]byte{0x30, 0x44, 2, 32}, p.signature...)),
		"a zero more in the signature, CVE-2020-13822": signedBy(good, append([]byte{0}, p.signature...)),
		"a short signature":                            signedBy(good, p.signature[:63]),
		"critical extensions, CVE-2025-59420":          s.sign(`{"alg":"ES256","typ":"dbsc+jwt","crit":["b64"],"b64":false,"jwk":`+s.jwk()+`}`, claims),
		"a point off the curve, CVE-2017-16007":        key(`{"kty":"EC","crv":"P-256","x":"` + s.x + `","y":"` + s.x + `"}`),
		"the point 0":                                  key(`{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}`),
		"another curve":                                key(`{"kty":"EC","crv":"P-384","x":"` + s.x + `","y":"` + s.y + `"}`),
		"a key of another kind":                        key(`{"kty":"oct","crv":"P-256","k":"AA","x":"` + s.x + `","y":"` + s.y + `"}`),
		"a coordinate with a zero more":                key(`{"kty":"EC","crv":"P-256","x":"AA` + s.x + `","y":"` + s.y + `"}`),
		"an empty key":                                 key(`{}`),
		"text behind the header":                       s.sign(header("ES256")+"x", claims),
		"claims that are a list":                       s.sign(header("ES256"), `["c"]`),
		"a challenge that is a number":                 s.sign(header("ES256"), `{"jti":1}`),
		"no challenge":                                 s.sign(header("ES256"), `{}`),
		"five parts, as encrypted, CVE-2022-3102":      good + ".x.y",
		"two parts":                                    good[:strings.LastIndexByte(good, '.')],
		"padding":                                      good + "=",
		"the base64 of other libraries":                strings.NewReplacer("-", "+", "_", "/").Replace(good) + "+",
		"bits behind the signature":                    good[:len(good)-1] + string(next(good[len(good)-1])),
		"other claims under the signature":             strings.Replace(good, "."+encoding.EncodeToString([]byte(claims))+".", "."+encoding.EncodeToString([]byte(`{"jti":"d"}`))+".", 1),
		"half a quote":                                 `"` + good,
		"a header that is huge":                        s.sign(header("ES256")+strings.Repeat(" ", maxProof), claims),
	} {
		if isProof(text) {
			t.Errorf("%s: taken", name)
		}
	}
}

// next is another letter of base64, which differs only in bits that are not used.
func next(letter byte) byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return letters[strings.IndexByte(letters, letter)^1]
}

// What is too long costs no memory, as a million of dots did in CVE-2025-30204.
func TestLongProofCostsNothing(t *testing.T) {
	text := strings.Repeat(".", 1<<20)
	if n := testing.AllocsPerRun(10, func() { _, _ = ParseProof(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzProof changes a proof at will. What is taken has the algorithm, a key on the curve and a challenge, and only the
// proof itself is signed by the key that it was made with.
func FuzzProof(f *testing.F) {
	s := newSigner(f)
	good := s.sign(`{"alg":"ES256","typ":"dbsc+jwt","jwk":`+s.jwk()+`}`, claims)
	signed := map[string]bool{}
	for _, text := range []string{
		"", good, `"` + good + `"`, good + ".", "...", "e30.e30.", s.sign(`{"alg":"none"}`, claims), s.sign(`{"alg":"ES256","typ":"dbsc+jwt"}`, claims),
		s.sign(`{"alg":"ES256","typ":"dbsc+jwt","jwk":null}`, claims), s.sign(`{"alg":"ES256","typ":"dbsc+jwt","jwk":[]}`, claims), strings.Repeat(".", 5000),
	} {
		f.Add(text)
		if p, err := ParseProof(text); err == nil && p.IsSignedBy(&s.PublicKey) {
			signed[string(p.signed)] = true
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseProof(text)
		if err != nil {
			if p != nil {
				t.Error("a proof and an error")
			}
			return
		}
		if p.Challenge == "" || len(text) > maxProof+2 || p.Key != nil && p.Key.Curve != elliptic.P256() {
			t.Errorf("taken: %+v", p)
		}
		if p.IsSignedBy(&s.PublicKey) && !signed[string(p.signed)] {
			t.Errorf("signed by the key: %s", text)
		}
	})
}
