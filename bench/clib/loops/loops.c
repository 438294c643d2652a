// The kernels as plain C loops, for the compiler to vectorise. A loop has the
// operands and the scalars of the kernel in package kernels that it is named
// after, and multiplies and adds at once where that does, for the same bits.
#include "operands.h"
#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define VECTORS                                              \
	const long len = o->m * o->n;                            \
	const float *restrict a = o->a, *restrict b = o->b;      \
	float *restrict c = o->c, *restrict d = o->d, *restrict e = o->e; \
	const float *s = o->s;                                   \
	(void)len, (void)a, (void)b, (void)c, (void)d, (void)e, (void)s

// flush is that of state in package kernels.
static inline float flush(float x) { return fabsf(x) < FLT_MIN ? 0 : x; }

// MAP defines a loop over vectors.
#define MAP(name, statement)                                 \
	void name(struct operands *o) {                          \
		VECTORS;                                             \
		const float s0 = s[0], s1 = s[1];                    \
		(void)s0, (void)s1;                                  \
		for (long i = 0; i < len; i++) { statement; }        \
	}

MAP(axpy, c[i] += s0 * a[i])
MAP(scale, c[i] *= s0)
MAP(ema, c[i] = flush(fmaf(s0, c[i], s1 * a[i])))
MAP(copy, c[i] = a[i])
MAP(fill, c[i] = s0)
MAP(add, c[i] = a[i] + b[i])
MAP(sub, c[i] = a[i] - b[i])
MAP(mul, c[i] = a[i] * b[i])
MAP(divide, c[i] = a[i] / b[i])
MAP(muladd, c[i] += a[i] * b[i])
MAP(scaleadd, c[i] = fmaf(s0, a[i], s1 * b[i]))
MAP(clamp, float v = a[i] < s0 ? s0 : a[i]; c[i] = v > s1 ? s1 : v)
MAP(absolute, c[i] = fabsf(a[i]))
MAP(squareroot, c[i] = sqrtf(a[i]))
MAP(rsqrt, c[i] = 1 / sqrtf(a[i]))
MAP(relu, c[i] = a[i] < 0 ? 0 : a[i])
MAP(relu_backward, c[i] = b[i] > 0 ? a[i] : 0)
MAP(tanh_backward, c[i] = a[i] * (1 - b[i] * b[i]))
MAP(sigmoid_backward, c[i] = a[i] * (b[i] - b[i] * b[i]))
MAP(silu_backward, float g = 1 / (1 + expf(-b[i])); c[i] = a[i] * (g + b[i] * g * (1 - g)))
MAP(gelu_backward, float x = b[i]; c[i] = a[i] * (0.5f * (1 + erff(0.70710678f * x)) + x * 0.39894228f * expf(-0.5f * x * x)))
MAP(gelutanh_backward, float x = b[i];
	float g = 1 / (1 + expf(-1.5957691f * (x + 0.044715f * x * x * x)));
	c[i] = a[i] * (g + x * g * (1 - g) * 1.5957691f * (1 + 0.134145f * x * x)))
MAP(exponential, c[i] = expf(a[i]))
MAP(logarithm, c[i] = logf(a[i]))
MAP(hyperbolic_tangent, c[i] = tanhf(a[i]))
MAP(errorfunction, c[i] = erff(a[i]))
MAP(sigmoid, c[i] = 1 / (1 + expf(-a[i])))
MAP(silu, c[i] = a[i] / (1 + expf(-a[i])))
MAP(softplus, c[i] = log1pf(expf(a[i])))
MAP(gelu, c[i] = 0.5f * a[i] * (1 + erff(0.70710678f * a[i])))
MAP(gelutanh, float x = a[i]; c[i] = 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x))))

// mix is the hash of kernels.Dropout; the keys below are those of seed 0.
static inline uint32_t mix(uint32_t h, uint32_t key1, uint32_t key2) {
	h ^= key1;
	h = (h ^ h >> 16) * 0x85ebca6b;
	h ^= key2;
	h = (h ^ h >> 13) * 0xc2b2ae35;
	return h + 0x80000000u;
}
MAP(dropout, c[i] = mix(i, 0x7b1dcdafu, 0xe220a839u) < 0x80000000u ? 0 : 2 * a[i])

void sgd(struct operands *o) {
	VECTORS;
	const float momentum = s[0], add = s[1], velocity = s[2], gradient = s[3], rate = s[4], decay = s[5];
	for (long i = 0; i < len; i++) {
		float g = decay * c[i] + a[i], v = flush(fmaf(momentum, d[i], add * g));
		d[i] = v;
		c[i] -= rate * fmaf(velocity, v, gradient * g);
	}
}

void adam(struct operands *o) {
	VECTORS;
	const float b1 = s[0], add1 = s[1], b2 = s[2], add2 = s[3], step = s[4], correct = s[5], epsilon = s[6], decay = s[7], keep = s[8];
	for (long i = 0; i < len; i++) {
		float g = decay * c[i] + a[i], m = flush(fmaf(b1, d[i], add1 * g)), v = flush(fmaf(b2, e[i], add2 * g * g));
		d[i] = m;
		e[i] = v;
		c[i] = fmaf(-step, m / (sqrtf(v * correct) + epsilon), keep * c[i]);
	}
}

void amsgrad(struct operands *o) {
	VECTORS;
	float *restrict f = o->f;
	const float b1 = s[0], add1 = s[1], b2 = s[2], add2 = s[3], step = s[4], correct = s[5], epsilon = s[6], decay = s[7], keep = s[8];
	for (long i = 0; i < len; i++) {
		float g = decay * c[i] + a[i], m = flush(fmaf(b1, d[i], add1 * g)), v = flush(fmaf(b2, e[i], add2 * g * g));
		float top = flush(v > f[i] ? v : f[i]);
		d[i] = m;
		e[i] = v;
		f[i] = top;
		c[i] = fmaf(-step, m / (sqrtf(top * correct) + epsilon), keep * c[i]);
	}
}

void lion(struct operands *o) {
	VECTORS;
	const float b1 = s[0], add1 = s[1], b2 = s[2], add2 = s[3], step = s[4], keep = s[5];
	for (long i = 0; i < len; i++) {
		float u = fmaf(b1, d[i], add1 * a[i]);
		d[i] = flush(fmaf(b2, d[i], add2 * a[i]));
		c[i] = fmaf(-step, u > 0 ? 1 : u < 0 ? -1 : 0, keep * c[i]);
	}
}

void adagrad(struct operands *o) {
	VECTORS;
	const float step = s[0], epsilon = s[1], decay = s[2];
	for (long i = 0; i < len; i++) {
		float g = decay * c[i] + a[i], sum = flush(g * g + d[i]);
		d[i] = sum;
		c[i] -= step * (g / (sqrtf(sum) + epsilon));
	}
}

void rmsprop(struct operands *o) {
	VECTORS;
	const float alpha = s[0], add = s[1], epsilon = s[2], rate = s[3], decay = s[4];
	for (long i = 0; i < len; i++) {
		float g = decay * c[i] + a[i], v = flush(fmaf(alpha, d[i], add * g * g));
		d[i] = v;
		c[i] -= rate * (g / (sqrtf(v) + epsilon));
	}
}

void adafisher(struct operands *o) {
	VECTORS;
	const float beta = s[0], add = s[1], step = s[2], lambda = s[3], decay = s[4], keep = s[5];
	const float *restrict row = o->row, *restrict col = o->col;
	const long n = o->n;
	for (long i = 0; i < o->m; i++)
		for (long j = 0; j < n; j++) {
			long k = i * n + j;
			float g = decay * c[k] + a[k], m = flush(fmaf(beta, d[k], add * g));
			d[k] = m;
			c[k] = fmaf(-step, m / (row[i] * col[j] + lambda), keep * c[k]);
		}
}

void calibrated(struct operands *o) {
	VECTORS;
	const float beta = s[0], add = s[1], share = s[2], step = s[3], keep = s[4];
	const float *restrict row = o->row, *restrict col = o->col;
	const long n = o->n;
	for (long i = 0; i < o->m; i++)
		for (long j = 0; j < n; j++) {
			long k = i * n + j;
			float g = add * a[k], m = flush(fmaf(beta, d[k], g));
			d[k] = m;
			c[k] = fmaf(keep, c[k], -(step * row[i] * fmaf(share, m, g) * col[j]));
		}
}

// The means of the inputs are row, the gradient at the bias col.
void calibrated_centred(struct operands *o) {
	VECTORS;
	const float beta = s[0], add = s[1], share = s[2], step = s[3], keep = s[4];
	const float *restrict col = o->col;
	const long n = o->n;
	for (long i = 0; i < o->m; i++, a += n, c += n, d += n) {
		const float row = o->row[i];
		for (long j = 0; j < n; j++) {
			float g = add * (a[j] - row * col[j]), m = flush(fmaf(beta, d[j], g));
			float u = step * row * fmaf(share, m, g) * col[j];
			d[j] = m;
			e[j] += row * u;
			c[j] = fmaf(keep, c[j], -u);
		}
	}
}

void calibrated_squares(struct operands *o) {
	VECTORS;
	const float beta = s[0], add = s[1], share = s[2];
	const float *restrict row = o->row, *restrict col = o->col;
	const long n = o->n;
	for (long i = 0; i < o->m; i++) {
		float t = 0;
		for (long j = 0; j < n; j++) {
			float g = add * a[i * n + j], x = fmaf(share, flush(fmaf(beta, b[i * n + j], g)), g) * col[j];
			t += x * x;
		}
		e[i] = row[i] * row[i] * t;
	}
}

#define REDUCE(name, first, statement, result)               \
	void name(struct operands *o) {                          \
		VECTORS;                                             \
		float t = first;                                     \
		for (long i = 0; i < len; i++) { statement; }        \
		o->out[0] = result;                                  \
	}

REDUCE(dot, 0, t += a[i] * b[i], t)
REDUCE(sum, 0, t += a[i], t)
REDUCE(sumsquares, 0, t += a[i] * a[i], t)
REDUCE(l1norm, 0, t += fabsf(a[i]), t)
REDUCE(l2norm, 0, t += a[i] * a[i], sqrtf(t))
REDUCE(globalnorm, 0, t += a[i] * a[i] + b[i] * b[i], sqrtf(t))
REDUCE(maxabs, 0, t = fabsf(a[i]) > t ? fabsf(a[i]) : t, t)

// clipglobalnorm takes c with another vector, of one element.
void clipglobalnorm(struct operands *o) {
	VECTORS;
	d[0] = s[0];
	float t = d[0] * d[0];
	for (long i = 0; i < len; i++) t += c[i] * c[i];
	t = sqrtf(t);
	if (t > s[1]) {
		const float factor = s[1] / t;
		d[0] *= factor;
		for (long i = 0; i < len; i++) c[i] *= factor;
	}
	o->out[0] = t;
}

void minmax(struct operands *o) {
	VECTORS;
	float lo = a[0], hi = a[0];
	for (long i = 0; i < len; i++) {
		lo = a[i] < lo ? a[i] : lo;
		hi = a[i] > hi ? a[i] : hi;
	}
	o->out[0] = lo;
	o->out[1] = hi;
}

void argmax(struct operands *o) {
	VECTORS;
	long k = 0;
	for (long i = 0; i < len; i++) k = a[i] > a[k] ? i : k;
	o->out[0] = a[k];
}

// -Ofast takes isfinite for granted: test the bits.
void allfinite(struct operands *o) {
	VECTORS;
	uint32_t bad = 0;
	for (long i = 0; i < len; i++) {
		uint32_t bits;
		memcpy(&bits, a + i, 4);
		bad |= (bits & 0x7f800000u) == 0x7f800000u;
	}
	o->out[0] = !bad;
}

// invalid_index looks for the place only if there is one.
void invalid_index(struct operands *o) {
	const long m = o->m;
	const float *restrict index = o->index;
	int bad = 0;
	for (long i = 0; i < m; i++) bad |= !(index[i] >= 0 && index[i] < m && index[i] == (float)(int)index[i]);
	o->out[0] = -1;
	if (bad)
		for (long i = m; i--;)
			if (!(index[i] >= 0 && index[i] < m && index[i] == (float)(int)index[i])) o->out[0] = i;
}

void count_indices(struct operands *o) {
	const long m = o->m;
	const float *restrict index = o->index;
	float *restrict c = o->c;
	for (long i = 0; i < m; i++) c[(long)index[i]] += 1;
}

// Of float16 numbers gcc 12 would convert one at a time: eight, by an intrinsic.
#ifdef __F16C__
static inline __m256 from_half(const uint16_t *x) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)x)); }
static inline void to_half(uint16_t *dst, const float *x) { _mm_storeu_si128((__m128i *)dst, _mm256_cvtps_ph(_mm256_loadu_ps(x), _MM_FROUND_TO_NEAREST_INT)); }

void from_float16(struct operands *o) {
	VECTORS;
	const uint16_t *half = (const uint16_t *)a;
	for (long i = 0; i + 8 <= len; i += 8) _mm256_storeu_ps(c + i, from_half(half + i));
}

void to_float16(struct operands *o) {
	VECTORS;
	uint16_t *half = (uint16_t *)c;
	for (long i = 0; i + 8 <= len; i += 8) to_half(half + i, a + i);
}
#endif

void minmaxnormalize(struct operands *o) {
	minmax(o);
	VECTORS;
	const float lo = o->out[0], range = (o->out[1] - lo) + 1e-6f;
	for (long i = 0; i < len; i++) c[i] = (a[i] - lo) / range;
	o->out[0] = o->out[1] = 0;
}

void minmaxema(struct operands *o) {
	minmax(o);
	VECTORS;
	const float lo = o->out[0], range = (o->out[1] - lo) + 1e-6f, keep = s[0], add = s[1];
	for (long i = 0; i < len; i++) c[i] = flush(keep * c[i] + add * ((a[i] - lo) / range));
	o->out[0] = o->out[1] = 0;
}

static float exponentials(const float *restrict a, float *restrict c, long len, float *largest) {
	float top = a[0], t = 0;
	for (long i = 0; i < len; i++) top = a[i] > top ? a[i] : top;
	for (long i = 0; i < len; i++) t += c[i] = expf(a[i] - top);
	*largest = top;
	return t;
}

void softmax(struct operands *o) {
	VECTORS;
	float top, r = 1 / exponentials(a, c, len, &top);
	for (long i = 0; i < len; i++) c[i] *= r;
}

void logsoftmax(struct operands *o) {
	VECTORS;
	float top, t = logf(exponentials(a, c, len, &top));
	for (long i = 0; i < len; i++) c[i] = a[i] - top - t;
}

void logsoftmax_backward(struct operands *o) {
	VECTORS;
	float t = 0;
	for (long i = 0; i < len; i++) t += a[i];
	for (long i = 0; i < len; i++) c[i] = a[i] - expf(b[i]) * t;
}

void softmax_cross_entropy(struct operands *o) {
	VECTORS;
	float top, t = exponentials(a, c, len, &top), r = s[0] / t;
	for (long i = 0; i < len; i++) c[i] *= r;
	c[0] -= s[0];
	o->out[0] = logf(t) - (a[0] - top);
}

void sigmoid_cross_entropy(struct operands *o) {
	VECTORS;
	const float scale = s[0];
	float t = 0;
	for (long i = 0; i < len; i++) {
		float x = a[i], y = b[i], exponential = expf(-fabsf(x)), r = 1 / (1 + exponential);
		c[i] = scale * ((x < 0 ? exponential * r : r) - y);
		t += (x > 0 ? x : 0) - x * y + log1pf(exponential);
	}
	o->out[0] = t;
}

#define MATRIX                                               \
	const long m = o->m, n = o->n;                           \
	const float *restrict a = o->a, *restrict b = o->b;      \
	const float *restrict row = o->row, *restrict col = o->col; \
	float *restrict c = o->c, *restrict d = o->d, *restrict e = o->e; \
	(void)a, (void)b, (void)row, (void)col, (void)c, (void)d, (void)e

#define EACH for (long i = 0; i < m; i++) for (long j = 0; j < n; j++)

void colsums(struct operands *o) {
	MATRIX;
	for (long j = 0; j < n; j++) e[j] = 0;
	EACH e[j] += a[i * n + j];
}

void colsumsquares(struct operands *o) {
	MATRIX;
	for (long j = 0; j < n; j++) e[j] = 0;
	EACH e[j] += a[i * n + j] * a[i * n + j];
}

void colmeanvariance(struct operands *o) {
	MATRIX;
	for (long j = 0; j < n; j++) d[j] = e[j] = 0;
	EACH d[j] += a[i * n + j];
	for (long j = 0; j < n; j++) d[j] /= m;
	EACH {
		float t = a[i * n + j] - d[j];
		e[j] += t * t;
	}
	for (long j = 0; j < n; j++) e[j] /= m;
}

void rowsums(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) {
		float t = 0;
		for (long j = 0; j < n; j++) t += a[i * n + j];
		e[i] = t;
	}
}

static void moments(const float *restrict a, long n, float *mean, float *variance) {
	float t = 0, v = 0;
	for (long j = 0; j < n; j++) t += a[j];
	t /= n;
	for (long j = 0; j < n; j++) v += (a[j] - t) * (a[j] - t);
	*mean = t;
	*variance = v / n;
}

void rowmeanvariance(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) moments(a + i * n, n, d + i, e + i);
}

void layernorm(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) {
		moments(a + i * n, n, d + i, e + i);
		float mean = d[i], rstd = e[i] = 1 / sqrtf(e[i] + 1e-5f);
		for (long j = 0; j < n; j++) c[i * n + j] = (a[i * n + j] - mean) * rstd * col[j] + col[j];
	}
}

void layernorm_backward(struct operands *o) {
	MATRIX;
	for (long j = 0; j < n; j++) d[j] = e[j] = 0;
	for (long i = 0; i < m; i++) {
		float mean = row[i], rstd = row[i], p = 0, q = 0;
		const float *restrict dy = a + i * n, *restrict x = b + i * n;
		for (long j = 0; j < n; j++) {
			float g = dy[j] * col[j], h = (x[j] - mean) * rstd;
			p += g;
			q += g * h;
			d[j] += dy[j] * h;
			e[j] += dy[j];
		}
		p /= n;
		q /= n;
		for (long j = 0; j < n; j++) {
			float h = (x[j] - mean) * rstd;
			c[i * n + j] = rstd * (dy[j] * col[j] - p - h * q);
		}
	}
}

// The means, 1/sqrt(variance+eps) and gamma, and below scale and shift, are col.
void batchnorm_backward(struct operands *o) {
	MATRIX;
	for (long j = 0; j < n; j++) d[j] = e[j] = 0;
	EACH {
		float g = a[i * n + j];
		e[j] += g;
		d[j] += g * (b[i * n + j] - col[j]);
	}
	for (long j = 0; j < n; j++) d[j] *= col[j];
	EACH {
		float g = a[i * n + j], x = b[i * n + j] - col[j];
		c[i * n + j] = col[j] * col[j] * (g - e[j] / m - x * (d[j] / m * col[j]));
	}
}

void batchnorm_relu_backward(struct operands *o) {
	MATRIX;
	for (long j = 0; j < n; j++) d[j] = e[j] = 0;
	EACH {
		float x = b[i * n + j], g = x * col[j] + col[j] > 0 ? a[i * n + j] : 0;
		e[j] += g;
		d[j] += g * (x - col[j]);
	}
	for (long j = 0; j < n; j++) d[j] *= col[j];
	EACH {
		float x = b[i * n + j], g = x * col[j] + col[j] > 0 ? a[i * n + j] : 0;
		c[i * n + j] = col[j] * col[j] * (g - e[j] / m - (x - col[j]) * (d[j] / m * col[j]));
	}
}

void colaffine(struct operands *o) { MATRIX; EACH c[i * n + j] = a[i * n + j] * col[j] + col[j]; }
void colaffine_relu(struct operands *o) { MATRIX; EACH { float v = a[i * n + j] * col[j] + col[j]; c[i * n + j] = v < 0 ? 0 : v; } }
void colmul(struct operands *o) { MATRIX; EACH c[i * n + j] = a[i * n + j] * col[j]; }

void coldots(struct operands *o) {
	MATRIX;
	for (long j = 0; j < n; j++) e[j] = 0;
	EACH e[j] += a[i * n + j] * b[i * n + j];
}

void softmax_rows(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) {
		float top, r = 1 / exponentials(a + i * n, c + i * n, n, &top);
		for (long j = 0; j < n; j++) c[i * n + j] *= r;
	}
}

void softmax_rows_backward(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) {
		float t = 0;
		for (long j = 0; j < n; j++) t += a[i * n + j] * b[i * n + j];
		for (long j = 0; j < n; j++) c[i * n + j] = b[i * n + j] * (a[i * n + j] - t);
	}
}

// Of causal attention: row i of a square block has i+1 elements.
void causal_softmax_rows(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) {
		const long len = i % n + 1;
		float top, r = 1 / exponentials(a + i * n, c + i * n, len, &top);
		for (long j = 0; j < len; j++) c[i * n + j] *= r;
		for (long j = len; j < n; j++) c[i * n + j] = 0;
	}
}

void causal_softmax_rows_backward(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) {
		const long len = i % n + 1;
		float t = 0;
		for (long j = 0; j < len; j++) t += a[i * n + j] * b[i * n + j];
		for (long j = 0; j < len; j++) c[i * n + j] = b[i * n + j] * (a[i * n + j] - t);
		for (long j = len; j < n; j++) c[i * n + j] = 0;
	}
}

void softmax_cross_entropy_rows(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) {
		const long label = ((const long *)o->index)[i];
		float top, t = exponentials(a + i * n, c + i * n, n, &top), r = o->s[0] / t;
		for (long j = 0; j < n; j++) c[i * n + j] *= r;
		c[i * n + label] -= o->s[0];
		e[i] = logf(t) - (a[i * n + label] - top);
	}
}

void logsoftmax_rows(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) {
		float top, t = logf(exponentials(a + i * n, c + i * n, n, &top));
		for (long j = 0; j < n; j++) c[i * n + j] = a[i * n + j] - top - t;
	}
}

void logsoftmax_rows_backward(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) {
		float t = 0;
		for (long j = 0; j < n; j++) t += a[i * n + j];
		for (long j = 0; j < n; j++) c[i * n + j] = a[i * n + j] - expf(b[i * n + j]) * t;
	}
}

void biasrelu(struct operands *o) { MATRIX; EACH { float v = a[i * n + j] + col[j]; c[i * n + j] = v < 0 ? 0 : v; } }
void biastanh(struct operands *o) { MATRIX; EACH c[i * n + j] = tanhf(a[i * n + j] + col[j]); }
void precondition(struct operands *o) { MATRIX; float lambda = o->s[0]; EACH c[i * n + j] = a[i * n + j] / (row[i] * col[j] + lambda); }
void transpose(struct operands *o) { MATRIX; EACH c[j * m + i] = a[i * n + j]; }

void gather_rows(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) memcpy(c + i * n, a + (long)o->index[i] * n, n * sizeof *c);
}

void scatter_add_rows(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) {
		float *restrict sum = c + (long)o->index[i] * n;
		const float *restrict x = a + i * n;
		for (long j = 0; j < n; j++) sum[j] += x[j];
	}
}

// pack copies a in panels of columns, for products.
enum { panel = 16 };
void pack(struct operands *o) {
	MATRIX;
	for (long p = 0; p < n; p += panel)
		for (long i = 0; i < m; i++)
			for (long j = 0; j < panel; j++) c[p * m + i * panel + j] = a[i * n + p + j];
}

#ifdef __F16C__
void pack_float16(struct operands *o) {
	MATRIX;
	uint16_t *half = (uint16_t *)c;
	for (long p = 0; p < n; p += panel)
		for (long i = 0; i < m; i++)
			for (long j = 0; j < panel; j += 8) to_half(half + p * m + i * panel + j, a + i * n + p + j);
}
#endif

// Pools of 2 x 2 pixels: m x n of them, with k channels, from rows of 2n pixels.
#define POOLS                                                \
	MATRIX;                                                  \
	const long k = o->k, down = 2 * n * k;                   \
	for (long i = 0; i < m; i++)                             \
		for (long j = 0; j < n; j++)

void max_pool(struct operands *o) {
	int *restrict place = (int *)o->d;
	POOLS {
		const float *restrict x = a + 2 * i * down + 2 * j * k;
		float *restrict y = c + (i * n + j) * k;
		int *restrict p = place + (i * n + j) * k;
		for (long h = 0; h < k; h++) {
			float t = x[h];
			int at = 0;
			if (x[h + k] > t) t = x[h + k], at = 1;
			if (x[h + down] > t) t = x[h + down], at = 2;
			if (x[h + down + k] > t) t = x[h + down + k], at = 3;
			y[h] = t;
			p[h] = at;
		}
	}
}

void max_pool_backward(struct operands *o) {
	const int *restrict place = (const int *)o->index;
	POOLS {
		float *restrict x = c + 2 * i * down + 2 * j * k;
		const float *restrict y = a + (i * n + j) * k;
		const int *restrict p = place + (i * n + j) * k;
		for (int at = 0; at < 4; at++)
			for (long h = 0; h < k; h++) x[at / 2 * down + at % 2 * k + h] = p[h] == at ? y[h] : 0;
	}
}

void average_pool(struct operands *o) {
	POOLS {
		const float *restrict x = a + 2 * i * down + 2 * j * k;
		float *restrict y = c + (i * n + j) * k;
		for (long h = 0; h < k; h++) y[h] = (x[h] + x[h + k] + x[h + down] + x[h + down + k]) / 4;
	}
}

void average_pool_backward(struct operands *o) {
	POOLS {
		float *restrict x = c + 2 * i * down + 2 * j * k;
		const float *restrict y = a + (i * n + j) * k;
		for (long h = 0; h < k; h++) x[h] = x[h + k] = x[h + down] = x[h + down + k] = y[h] / 4;
	}
}

// Of m images with n pixels and k channels.
void global_average_pool(struct operands *o) {
	MATRIX;
	const long k = o->k;
	for (long i = 0; i < m; i++) {
		float *restrict y = c + i * k;
		for (long h = 0; h < k; h++) y[h] = 0;
		for (long j = 0; j < n; j++)
			for (long h = 0; h < k; h++) y[h] += a[(i * n + j) * k + h];
		for (long h = 0; h < k; h++) y[h] /= n;
	}
}

void global_average_pool_backward(struct operands *o) {
	MATRIX;
	const long k = o->k;
	for (long i = 0; i < m; i++)
		for (long j = 0; j < n; j++)
			for (long h = 0; h < k; h++) c[(i * n + j) * k + h] = a[i * k + h] / n;
}

void ger(struct operands *o) {
	MATRIX;
	for (long i = 0; i < m; i++) {
		float t = o->s[0] * row[i];
		for (long j = 0; j < n; j++) c[i * n + j] += t * col[j];
	}
}

// gemm is the product in the order of loops that vectorises: along the rows of C,
// or as inner products for B^T.
void gemm(struct operands *o) {
	const long m = o->m, n = o->n, k = o->k;
	const float *restrict a = o->a, *restrict b = o->b;
	float *restrict c = o->c;
	const long row = o->trans_a ? 1 : k, col = o->trans_a ? m : 1;
	if (o->s[0] == 0) memset(c, 0, sizeof *c * m * n);
	if (o->trans_b) {
		for (long i = 0; i < m; i++)
			for (long j = 0; j < n; j++) {
				float t = 0;
				for (long p = 0; p < k; p++) t += a[i * row + p * col] * b[j * k + p];
				c[i * n + j] += t;
			}
		return;
	}
	for (long i = 0; i < m; i++)
		for (long p = 0; p < k; p++) {
			float t = a[i * row + p * col];
			for (long j = 0; j < n; j++) c[i * n + j] += t * b[p * n + j];
		}
}

#if defined __F16C__ && defined __FMA__
// gemm_float16 is A*B with B of float16, and columns in multiples of eight.
void gemm_float16(struct operands *o) {
	const long m = o->m, n = o->n, k = o->k;
	const uint16_t *half = (const uint16_t *)o->b;
	memset(o->c, 0, sizeof *o->c * m * n);
	for (long i = 0; i < m; i++)
		for (long p = 0; p < k; p++) {
			const __m256 t = _mm256_set1_ps(o->a[i * k + p]);
			float *c = o->c + i * n;
			for (long j = 0; j + 8 <= n; j += 8) _mm256_storeu_ps(c + j, _mm256_fmadd_ps(t, from_half(half + p * n + j), _mm256_loadu_ps(c + j)));
		}
}
#endif

// tile computes rows of C and two vectors of columns, of which the masks tell those that
// exist. gemm_tiles is C = A*B in such tiles by intrinsics, without packing.
#ifdef __AVX512F__
#define ROWS 8
#define LANES 16
typedef __mmask16 mask;
typedef __m512 vector;
static inline mask first(long n) { return n >= LANES ? 0xffff : n > 0 ? (1 << n) - 1 : 0; }
static inline vector load(const float *x, mask m) { return _mm512_maskz_loadu_ps(m, x); }
static inline void store(float *x, mask m, vector v) { _mm512_mask_storeu_ps(x, m, v); }
static inline vector all(float x) { return _mm512_set1_ps(x); }
static inline vector fused(vector x, vector y, vector z) { return _mm512_fmadd_ps(x, y, z); }
#elif defined __AVX2__ && defined __FMA__
#define ROWS 6
#define LANES 8
typedef __m256i mask;
typedef __m256 vector;
static inline mask first(long n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
static inline vector load(const float *x, mask m) { return _mm256_maskload_ps(x, m); }
static inline void store(float *x, mask m, vector v) { _mm256_maskstore_ps(x, m, v); }
static inline vector all(float x) { return _mm256_set1_ps(x); }
static inline vector fused(vector x, vector y, vector z) { return _mm256_fmadd_ps(x, y, z); }
#endif

#ifdef ROWS
static inline __attribute__((always_inline)) void tile(int rows, long n, long k, const float *a, const float *b, float *c, int whole, mask left, mask right) {
	vector t[ROWS][2];
	for (int r = 0; r < rows; r++) t[r][0] = t[r][1] = all(0);
	for (long p = 0; p < k; p++, b += n) {
		vector x, y;
		if (whole) memcpy(&x, b, sizeof x), memcpy(&y, b + LANES, sizeof y);
		else x = load(b, left), y = load(b + LANES, right);
		for (int r = 0; r < rows; r++) {
			vector v = all(a[r * k + p]);
			t[r][0] = fused(v, x, t[r][0]);
			t[r][1] = fused(v, y, t[r][1]);
		}
	}
	for (int r = 0; r < rows; r++) {
		store(c + r * n, left, t[r][0]);
		store(c + r * n + LANES, right, t[r][1]);
	}
}

static inline __attribute__((always_inline)) void strip(long m, long n, long k, const float *a, const float *b, float *c, int whole, mask left, mask right) {
	long i = 0;
	for (; i + ROWS <= m; i += ROWS) tile(ROWS, n, k, a + i * k, b, c + i * n, whole, left, right);
	for (; i + 4 <= m; i += 4) tile(4, n, k, a + i * k, b, c + i * n, whole, left, right);
	for (; i < m; i++) tile(1, n, k, a + i * k, b, c + i * n, whole, left, right);
}

void gemm_tiles(struct operands *o) {
	const long m = o->m, n = o->n, k = o->k;
	for (long j = 0; j < n; j += 2 * LANES) {
		const mask left = first(n - j), right = first(n - j - LANES);
		if (n - j >= 2 * LANES) strip(m, n, k, o->a, o->b + j, o->c + j, 1, left, right);
		else strip(m, n, k, o->a, o->b + j, o->c + j, 0, left, right);
	}
}
#endif
