package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// A login is a user of Redis or of the sentinels. Its password comes from a file, or otherwise from the environment.
type login struct {
	username string
	file     string
	password string

	flags    string // how the names of the flags begin
	variable string
}

func (l *login) define(flags *pflag.FlagSet, prefix, of string) {
	l.flags = prefix
	l.variable = "SESSIONCTL_" + strings.ToUpper(strings.ReplaceAll(prefix, "-", "_")) + "PASSWORD"
	flags.StringVar(&l.username, prefix+"username", "", "`NAME` of the ACL user of "+of)
	flags.StringVar(&l.file, prefix+"password-file", "", "`FILE` with its password; else it is in\n"+l.variable)
}

func (l *login) read() error {
	l.password = os.Getenv(l.variable)
	if l.file != "" {
		text, err := os.ReadFile(l.file)
		if err != nil {
			return usagef("--%spassword-file: %w", l.flags, err)
		}
		l.password = strings.TrimRight(string(text), "\r\n")
		if l.password == "" {
			return usagef("--%spassword-file %s is empty", l.flags, l.file)
		}
	}
	if l.username != "" && l.password == "" {
		return usagef("--%susername needs a password: set %s, or give --%spassword-file", l.flags, l.variable, l.flags)
	}
	return nil
}

// An encryption is what the flags say of TLS.
type encryption struct {
	on            bool
	ca, cert, key string
}

func (e *encryption) define(flags *pflag.FlagSet) {
	flags.BoolVar(&e.on, "tls", false, "use TLS, with --sentinel and --cluster")
	flags.StringVar(&e.ca, "tls-ca", "", "`FILE` with the CAs to trust, in place of the system's")
	flags.StringVar(&e.cert, "tls-cert", "", "`FILE` with the certificate of this client")
	flags.StringVar(&e.key, "tls-key", "", "`FILE` with the key of that")
}

// config returns nil if no flag asks for TLS.
func (e *encryption) config() (*tls.Config, error) {
	if (e.cert == "") != (e.key == "") {
		return nil, usagef("--tls-cert and --tls-key need each other")
	}
	if !e.on && e.ca == "" && e.cert == "" {
		return nil, nil
	}
	config := new(tls.Config)
	if e.ca != "" {
		text, err := os.ReadFile(e.ca)
		if err != nil {
			return nil, usagef("--tls-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, usagef("--tls-ca %s has no certificate in PEM", e.ca)
		}
	}
	if e.cert != "" {
		pair, err := tls.LoadX509KeyPair(e.cert, e.key)
		if errors.As(err, new(*fs.PathError)) {
			return nil, usagef("--tls-cert, --tls-key: %w", err)
		}
		if err != nil {
			return nil, usagef("--tls-cert and --tls-key are no certificate with its key in PEM: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
