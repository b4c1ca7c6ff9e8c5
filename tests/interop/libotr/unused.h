/* Callbacks must have the signature that libotr asks for, whether they need every argument or not. */
#ifndef UNUSED_H
#define UNUSED_H

#define UNUSED __attribute__((unused))

#endif
