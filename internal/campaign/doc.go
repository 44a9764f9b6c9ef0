// Package campaign has the tests that cut across the library: a store that dies and comes back under load (chaos),
// schedules of overlapping requests beside a model, the rules of docs/security.md, the search for secrets in all that the
// library prints, and fuzz tests. What tests one room of the library stands beside it.
package campaign
