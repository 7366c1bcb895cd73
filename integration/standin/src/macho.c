/* Reads Mach-O dylibs, believing nothing: every offset is checked against the file's size before it is followed.

   Binding must be told by LC_DYLD_INFO, as zig's linker does and as every macOS up to 11 understands it; the
   chained fixups of later linkers are not read, so that a dylib with them interposes nothing here. */

#define _GNU_SOURCE
#include "macho.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	HEADER_SIZE = 32,
	COMMAND_SIZE = 8,
	SEGMENT_SIZE = 72,
	SECTION_SIZE = 80,
	NAME_SIZE = 16,
	TUPLE_SIZE = 16,
	MAX_SEGMENTS = 16,
	MAX_BINDS = 65536,
};

#define MH_MAGIC_64 0xfeedfacfu
#define CPU_TYPE_X86_64 0x01000007u
#define MH_DYLIB 6u
#define LC_SEGMENT_64 0x19u
#define LC_DYLD_INFO 0x22u
#define LC_DYLD_INFO_ONLY 0x80000022u

/* The upper four bits of a byte of the bind stream, the lower four being its operand. */
enum {
	BIND_DONE = 0x00,
	BIND_SET_DYLIB_ORDINAL_IMM = 0x10,
	BIND_SET_DYLIB_ORDINAL_ULEB = 0x20,
	BIND_SET_DYLIB_SPECIAL_IMM = 0x30,
	BIND_SET_SYMBOL = 0x40,
	BIND_SET_TYPE_IMM = 0x50,
	BIND_SET_ADDEND_SLEB = 0x60,
	BIND_SET_SEGMENT_AND_OFFSET = 0x70,
	BIND_ADD_ADDRESS = 0x80,
	BIND_DO = 0x90,
	BIND_DO_ADD_ADDRESS = 0xa0,
	BIND_DO_ADD_ADDRESS_IMM = 0xb0,
	BIND_DO_TIMES_SKIPPING = 0xc0,
};

struct range {
	uint64_t address, size;
};

struct dylib {
	const uint8_t *bytes;
	size_t size;
	struct range segments[MAX_SEGMENTS];
	size_t segment_count;
	struct range interpose;
	uint64_t interpose_offset;
	uint64_t bind_offset, bind_size;
};

static uint64_t number(const uint8_t *at, size_t width)
{
	uint64_t value = 0;
	memcpy(&value, at, width); /* both sides are little-endian */
	return value;
}

static bool within(const struct dylib *dylib, uint64_t offset, uint64_t size)
{
	return offset <= dylib->size && size <= dylib->size - offset;
}

static bool named(const uint8_t *field, const char *name)
{
	return strncmp((const char *)field, name, NAME_SIZE) == 0;
}

static bool read_section(struct dylib *dylib, const uint8_t *section)
{
	if (!named(section, "__interpose") || !named(section + NAME_SIZE, "__DATA"))
		return true;
	dylib->interpose = (struct range){number(section + 32, 8), number(section + 40, 8)};
	dylib->interpose_offset = number(section + 48, 4);
	return within(dylib, dylib->interpose_offset, dylib->interpose.size);
}

static bool read_segment(struct dylib *dylib, const uint8_t *segment, size_t size)
{
	if (size < SEGMENT_SIZE || dylib->segment_count == MAX_SEGMENTS)
		return false;
	if (!within(dylib, number(segment + 40, 8), number(segment + 48, 8)))
		return false; /* cut off: dyld could not map it */
	dylib->segments[dylib->segment_count++] = (struct range){number(segment + 24, 8), number(segment + 32, 8)};
	uint64_t sections = number(segment + 64, 4);
	if (sections > (size - SEGMENT_SIZE) / SECTION_SIZE)
		return false;
	for (uint64_t i = 0; i < sections; i++)
		if (!read_section(dylib, segment + SEGMENT_SIZE + i * SECTION_SIZE))
			return false;
	return true;
}

static bool read_command(struct dylib *dylib, const uint8_t *command, size_t size)
{
	switch (number(command, 4)) {
	case LC_SEGMENT_64:
		return read_segment(dylib, command, size);
	case LC_DYLD_INFO:
	case LC_DYLD_INFO_ONLY:
		if (size < 24)
			return false;
		dylib->bind_offset = number(command + 16, 4);
		dylib->bind_size = number(command + 20, 4);
		return within(dylib, dylib->bind_offset, dylib->bind_size);
	default:
		return true;
	}
}

static bool read_header(struct dylib *dylib)
{
	if (dylib->size < HEADER_SIZE || number(dylib->bytes, 4) != MH_MAGIC_64)
		return false;
	if (number(dylib->bytes + 4, 4) != CPU_TYPE_X86_64 || number(dylib->bytes + 12, 4) != MH_DYLIB)
		return false;
	uint64_t commands = number(dylib->bytes + 16, 4), left = number(dylib->bytes + 20, 4);
	if (!within(dylib, HEADER_SIZE, left))
		return false;
	for (const uint8_t *command = dylib->bytes + HEADER_SIZE; commands > 0; commands--) {
		if (left < COMMAND_SIZE)
			return false;
		uint64_t size = number(command + 4, 4);
		if (size < COMMAND_SIZE || size > left || !read_command(dylib, command, size))
			return false;
		command += size;
		left -= size;
	}
	return true;
}

struct stream {
	const uint8_t *at, *end;
	bool broken;
};

/* Signed numbers are skipped only, and are as long as unsigned ones. */
static uint64_t read_leb(struct stream *stream)
{
	uint64_t value = 0;
	for (unsigned shift = 0; stream->at < stream->end && shift < 64; shift += 7) {
		uint8_t byte = *stream->at++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	stream->broken = true;
	return 0;
}

static const char *read_string(struct stream *stream)
{
	const uint8_t *string = stream->at;
	const uint8_t *end = memchr(string, 0, (size_t)(stream->end - string));
	if (!end) {
		stream->broken = true;
		return "";
	}
	stream->at = end + 1;
	return (const char *)string;
}

struct binding {
	const struct dylib *dylib;
	const char *const *symbols;
	size_t count;
	const char *symbol;
	uint64_t address;
	unsigned budget;
	unsigned found;
};

static bool is_code(const struct dylib *dylib, uint64_t address)
{
	for (size_t i = 0; i < dylib->segment_count; i++)
		if (address && address - dylib->segments[i].address < dylib->segments[i].size)
			return true;
	return false;
}

/* A tuple is {replacement, original}: the original is what is bound, the replacement is the dylib's own. */
static void bind(struct binding *binding)
{
	const struct dylib *dylib = binding->dylib;
	uint64_t into = binding->address - dylib->interpose.address;
	if (into >= dylib->interpose.size || into % TUPLE_SIZE != 8 || dylib->interpose.size - into < 8)
		return;
	if (!is_code(dylib, number(dylib->bytes + dylib->interpose_offset + into - 8, 8)))
		return;
	for (size_t i = 0; i < binding->count; i++)
		if (strcmp(binding->symbol, binding->symbols[i]) == 0)
			binding->found |= 1u << i;
}

static void bind_repeatedly(struct binding *binding, struct stream *stream, uint64_t times, uint64_t skip)
{
	for (; times > 0; times--) {
		if (binding->budget-- == 0) {
			stream->broken = true;
			return;
		}
		bind(binding);
		binding->address += 8 + skip;
	}
}

static void set_address(struct binding *binding, struct stream *stream, unsigned segment)
{
	uint64_t offset = read_leb(stream);
	if (segment >= binding->dylib->segment_count)
		stream->broken = true;
	else
		binding->address = binding->dylib->segments[segment].address + offset;
}

/* Obey one opcode; return false at the end. */
static bool step(struct binding *binding, struct stream *stream)
{
	uint8_t opcode = *stream->at & 0xf0, operand = *stream->at & 0x0f;
	uint64_t times;
	stream->at++;
	switch (opcode) {
	case BIND_DONE:
		return false;
	case BIND_SET_DYLIB_ORDINAL_IMM:
	case BIND_SET_DYLIB_SPECIAL_IMM:
	case BIND_SET_TYPE_IMM:
		break;
	case BIND_SET_DYLIB_ORDINAL_ULEB:
	case BIND_SET_ADDEND_SLEB:
		read_leb(stream);
		break;
	case BIND_SET_SYMBOL:
		binding->symbol = read_string(stream);
		break;
	case BIND_SET_SEGMENT_AND_OFFSET:
		set_address(binding, stream, operand);
		break;
	case BIND_ADD_ADDRESS:
		binding->address += read_leb(stream);
		break;
	case BIND_DO:
		bind_repeatedly(binding, stream, 1, 0);
		break;
	case BIND_DO_ADD_ADDRESS:
		bind_repeatedly(binding, stream, 1, read_leb(stream));
		break;
	case BIND_DO_ADD_ADDRESS_IMM:
		bind_repeatedly(binding, stream, 1, operand * 8u);
		break;
	case BIND_DO_TIMES_SKIPPING:
		times = read_leb(stream);
		bind_repeatedly(binding, stream, times, read_leb(stream));
		break;
	default:
		stream->broken = true;
	}
	return !stream->broken;
}

static unsigned read_bindings(const struct dylib *dylib, const char *const symbols[], size_t count)
{
	const uint8_t *start = dylib->bytes + dylib->bind_offset;
	struct stream stream = {.at = start, .end = start + dylib->bind_size};
	struct binding binding = {
		.dylib = dylib, .symbols = symbols, .count = count, .symbol = "", .budget = MAX_BINDS};
	while (stream.at < stream.end && step(&binding, &stream))
		continue;
	return stream.broken ? 0 : binding.found;
}

unsigned interposed_by(const char *path, const char *const symbols[], size_t count)
{
	unsigned found = 0;
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return 0;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= HEADER_SIZE) {
		struct dylib dylib = {.size = (size_t)status.st_size};
		void *mapped = mmap(NULL, dylib.size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (mapped != MAP_FAILED) {
			dylib.bytes = mapped;
			if (read_header(&dylib))
				found = read_bindings(&dylib, symbols, count);
			munmap(mapped, dylib.size);
		}
	}
	close(fd);
	return found;
}
