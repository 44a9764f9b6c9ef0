package redisstore

const defaultPrefix = "session:"

// Options are the settings of a [Store]. The zero value is the default.
type Options struct {
	// Prefix begins every key. "" means "session:". It must not contain a brace.
	Prefix string

	// NoScripts saves with WATCH and MULTI instead of a script, for services that forbid EVAL. The guarantees are the
	// same; a save takes two round trips instead of one.
	NoScripts bool
}
