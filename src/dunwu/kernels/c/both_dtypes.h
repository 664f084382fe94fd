/* Includes KERNEL_FILE once for float32 and once for bfloat16; see common.h. */
#define elem float
#define NAME(name) name##_f32
#define LOAD(x) (x)
#define LOAD8(p) load8_f32(p)
#define STORE(x) (x)
#define ROUND(x) (x)
#include KERNEL_FILE
#undef elem
#undef NAME
#undef LOAD
#undef LOAD8
#undef STORE
#undef ROUND
#define elem bf16
#define NAME(name) name##_bf16
#define LOAD(x) from_bf16(x)
#define LOAD8(p) load8_bf16(p)
#define STORE(x) to_bf16(x)
#define ROUND(x) round_to_bf16(x)
#include KERNEL_FILE
#undef elem
#undef NAME
#undef LOAD
#undef LOAD8
#undef STORE
#undef ROUND
