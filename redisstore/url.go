package redisstore

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// The errors of Open. They are constant because a URL that does not parse may show its password in any of its parts:
// in redis://:pa/ss@host it is in the path.
var (
	errForm = errors.New("redisstore: not a Redis URL: want redis://[user:password@]host[:port][/database], " +
		"rediss:// for TLS, unix:///path/to/socket[?db=database], or host:port; " +
		"percent-encode special characters in the password")
	errPort     = errors.New("redisstore: the address has no port: add it, as in localhost:6379, or use redis://host")
	errPlain    = errors.New("redisstore: Options.TLS needs a URL with TLS: rediss:// or valkeys://")
	errScheme   = errors.New("redisstore: unknown URL scheme: use redis://, rediss:// (TLS), valkey://, valkeys:// or unix://")
	errPassword = errors.New("redisstore: the URL has an empty password: is a variable unset?")
	errHost     = errors.New("redisstore: the URL's host or port is wrong: want host, host:port or [IPv6]:port, " +
		"and percent-encode special characters in the password")
	errDatabase = errors.New("redisstore: the URL's path is not the number of a database, as in redis://host:6379/2; " +
		"percent-encode special characters in the password")
	errQuery = errors.New("redisstore: the URL has a query or a fragment: the database is in the path, as in " +
		"redis://host:6379/2, other settings are in Options; percent-encode special characters in the password")
	errSocket = errors.New("redisstore: want unix:///path/to/socket, with ?db=2 for a database other than 0 and nothing else")
)

// parse takes a URL apart.
func parse(raw string) (target, error) {
	if !strings.Contains(raw, "://") {
		return parseAddress(raw)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return target{}, errForm
	}
	t := target{network: "tcp"}
	if err := t.setUser(u.User); err != nil {
		return target{}, err
	}
	switch u.Scheme {
	case "unix":
		err = t.setSocket(u, raw)
	case "redis", "valkey":
		err = t.setServer(u, raw)
	case "rediss", "valkeys":
		err = t.setServer(u, raw)
		t.tls = &tls.Config{ServerName: u.Hostname()}
	default:
		err = errScheme
	}
	return t, err
}

// parseAddress reads a bare host:port as the URL that it abbreviates.
func parseAddress(address string) (target, error) {
	if strings.ContainsAny(address, "@/?#%") {
		return target{}, errForm
	}
	if address != "" && !strings.Contains(address, ":") {
		return target{}, errPort
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return target{}, errForm
	}
	return parse("redis://" + address)
}

// setUser sets the user and the password. A single word is a password.
func (t *target) setUser(u *url.Userinfo) error {
	if u == nil {
		return nil
	}
	password, ok := u.Password()
	t.user, t.password = u.Username(), password
	if !ok {
		t.user, t.password = "", u.Username()
	}
	if t.password == "" {
		return errPassword
	}
	return nil
}

// setServer sets the address and the database of a redis URL.
func (t *target) setServer(u *url.URL, raw string) (err error) {
	host, port := cmp.Or(u.Hostname(), "localhost"), cmp.Or(u.Port(), "6379")
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strings.Contains(host, ":") && u.Host[0] != '[' {
		return errHost
	}
	if u.RawQuery != "" || strings.ContainsAny(raw, "?#") {
		return errQuery
	}
	t.address = net.JoinHostPort(host, port)
	if database := strings.TrimPrefix(u.Path, "/"); database != "" {
		t.database, err = parseDatabase(database)
	}
	return err
}

// setSocket sets the path and the database of a unix URL.
func (t *target) setSocket(u *url.URL, raw string) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || strings.Contains(raw, "#") || u.Host != "" || strings.HasSuffix(u.Path, "/") || u.Path == "" {
		return errSocket
	}
	t.network, t.address = "unix", u.Path
	if databases, ok := query["db"]; ok {
		delete(query, "db")
		if t.database, err = parseDatabase(strings.Join(databases, ",")); err != nil {
			return errSocket
		}
	}
	if len(query) > 0 {
		return errSocket
	}
	return nil
}

// parseDatabase takes the decimal number of a database.
func parseDatabase(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, errDatabase
	}
	return int(n), nil
}
