// Package gorilla has tests alone: the calls of README.md are compiled.
package gorilla
