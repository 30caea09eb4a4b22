# SPDX-License-Identifier: Apache-2.0
#
# The layers from base to plan, less files and options, which need zlib and jansson; and those of
# their tests that get by without. For processors that no libraries are installed for:
# tests/core/cmocka.h stands in for cmocka.
file(GLOB BASIN_CORE CONFIGURE_DEPENDS src/base/*.c src/rng/*.c src/graph/*.c src/ops/*.c
     src/backend/*/*.c src/plan/*.c)
list(FILTER BASIN_CORE EXCLUDE REGEX "/base/(file|option|option_field)\\.c$")
add_library(basin_core STATIC ${BASIN_CORE})
target_include_directories(basin_core PUBLIC include src)
target_link_libraries(basin_core PUBLIC Threads::Threads m)

enable_testing()
foreach(name test_convolution test_graph test_kernels test_noise test_ops test_plan test_plan_bits)
  add_executable(${name} tests/${name}.c tests/reference.c)
  target_include_directories(${name} PRIVATE tests tests/core)
  target_link_libraries(${name} PRIVATE basin_core)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endforeach()
