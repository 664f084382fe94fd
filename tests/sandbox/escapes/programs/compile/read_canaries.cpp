// tries: to have the compiler read the host's secrets: as source, whose text it then quotes in its complaints
// escape: a secret is in what the compiler says
// through: compiler
// outcome: exited
// exit: 1
// control: outside
#include "targets.hpp"
#include CANARY_HOME
#include CANARY_TMP
#include CANARY_CHECKOUT
#include "/etc/shadow"
