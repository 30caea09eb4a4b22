#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Install into a fresh prefix and use it as others would: a program through
# pkg-config, one through find_package, the exported symbols, the Debian package
# unpacked. Arguments: build folder, C compiler.
. tests/script.sh
build=$1 cc=$2
prefix=$tmp/prefix

check "cmake --install" cmake --install "$build" --prefix "$prefix"
library=$(find "$prefix" -name 'libbasin.so')
pc=$(find "$prefix" -name basin.pc)
[ -n "$library" ] && ok "libbasin.so is there" || not_ok "libbasin.so is there"
export LD_LIBRARY_PATH="${library%/*}" PKG_CONFIG_PATH="${pc%/*}"

symbols=$(nm -D --defined-only "$library" | awk '$2 ~ /[A-Z]/ { print $3 }')
strange=$(echo "$symbols" | grep -v '^basin_[a-z]')
[ -n "$symbols" ] && [ -z "$strange" ] && ok "exported names begin with basin_" ||
    not_ok "exported names begin with basin_" "$strange"
missing=$(cat "$prefix"/include/basin/*.h | tr '\n' ' ' |
    grep -o 'BASIN_API[^;(]*[ *]basin_[a-z0-9_]*(' | sed 's/.*[ *]\(basin_[a-z0-9_]*\)($/\1/' | sort -u |
    while read -r name; do echo "$symbols" | grep -qx "$name" || echo "$name"; done)
[ -z "$missing" ] && ok "every declared function is exported" ||
    not_ok "every declared function is exported" "$missing"
soname=$(readelf -d "$library" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
[ "$soname" = libbasin.so.0 ] && ok "the SONAME is libbasin.so.0" || not_ok "the SONAME" "$soname"

cat >"$tmp/user.c" <<'C'
#include <basin/context.h>
#include <stdio.h>
int main(void) {
    basin_context *context;
    if (basin_context_create(NULL, &context) != BASIN_OK)
        return 1;
    printf("basin %s\n", basin_version());
    basin_context_destroy(context);
    return 0;
}
C
check "a program by pkg-config" sh -c '
    '"$cc"' "$0/user.c" -o "$0/user" $(pkg-config --cflags --libs basin) && "$0/user"' "$tmp"

mkdir "$tmp/project"
cat >"$tmp/project/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(basin 0.1 REQUIRED)
add_executable(user ../user.c)
target_link_libraries(user PRIVATE basin::basin)
C
check "a program by find_package" sh -c '
    cmake -S "$0/project" -B "$0/project/build" -DCMAKE_PREFIX_PATH="$0/prefix" \
        -DCMAKE_C_COMPILER='"$cc"' && cmake --build "$0/project/build" && "$0/project/build/user"' "$tmp"

check "the program runs" "$prefix/bin/basin" --version
for file in share/man/man1/basin.1 share/man/man1/basin-data.1 share/doc/basin/copyright \
    share/bash-completion/completions/basin; do
    check "$file" test -s "$prefix/$file"
done

if command -v dpkg-shlibdeps >/dev/null; then
    check "cpack makes a package" cpack -G DEB --config "$build/CPackConfig.cmake" -B "$tmp/deb"
    deb=$(find "$tmp/deb" -maxdepth 1 -name '*.deb')
    check "it unpacks" dpkg-deb -x "$deb" "$tmp/root"
    unset LD_LIBRARY_PATH
    check "its program runs" "$tmp/root/usr/bin/basin" --version
    depends=$(dpkg-deb -f "$deb" Depends)
    case "$depends" in
    *libcairo2*libjansson4*) ok "it names the libraries it needs" ;;
    *) not_ok "it names the libraries it needs" "$depends" ;;
    esac
else
    echo "ok - the Debian package # skip no dpkg-shlibdeps"
fi
finish
